"""`backstay audit verify` and `prune`: evidence is judged without a server."""

import asyncio
import base64
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backstay.adapters.archive.keys import audit_keys
from backstay.cli import execute
from backstay.kernel.audit import AuditHead
from backstay.kernel.audit_file import Trail, written
from backstay.kernel.receipt import receipts_of, signed
from tests.unit.adapters.archive.evidence import HEADS, KEY, RECORDS, segment, store
from tests.unit.kernel.test_receipt import PAID

PUBLIC = f"{KEY.key}:{KEY.public}"
TRAIL = Trail("refund-A17", "AgentRun", HEADS[4], RECORDS, executions=("e-1",), closed=True)
[FORGER] = audit_keys("2026a:" + base64.b64encode(os.urandom(32)).decode())

Said = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("BACKSTAY_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    asyncio.run(store(folder).keep(segment()))
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "export.jsonl").write_bytes(written(TRAIL, KEY))
    return tmp_path / "export.jsonl"


def verify(said: Said, *words: object) -> tuple[int, Any]:
    code = execute(["audit", "verify", *map(str, words), "-o", "json"])
    return code, json.loads(said.readouterr().out)


def forged() -> bytes:
    """The same run with another person in it, and a chain and a signature that fit."""
    head, records = AuditHead(), list[dict[str, Any]]()
    for record in RECORDS:
        head, made = head.chained(record["at"], record["event"], {**record["facts"], "by": "mallory"})
        records.append(made)
    return written(replace(TRAIL, head=head, records=records), FORGER)


def test_a_whole_export_agrees_with_the_archive(file: Path, archive: Path, capsys: Said) -> None:
    code, found = verify(capsys, file, "--archive", archive, "--key", PUBLIC)
    assert (code, found["intact"], found["broken"]) == (0, True, None)
    assert found["runs"] == [
        {
            "run_id": "refund-A17",
            "records": 4,
            "head": HEADS[4].head,
            "signed_by": "2026a",
            "anchored": 4,
            "ends": True,
            "keys": ["2026a"],
        }
    ]


def test_a_forged_history_with_a_rebuilt_chain_is_found_by_key_and_archive(
    file: Path, archive: Path, capsys: Said
) -> None:
    file.write_bytes(forged())
    assert verify(capsys, file)[0] == 0  # alone it agrees with itself
    code, found = verify(capsys, file, "--key", PUBLIC)
    assert (code, found["broken"]["problem"]) == (1, "it is signed by another key than the one given: `2026a`")
    code, found = verify(capsys, file, "--archive", archive, "--key", PUBLIC)
    assert (code, found["broken"]["record"]) == (1, 4)
    assert "the history was rewritten" in found["broken"]["problem"]


def test_the_first_broken_record_is_named(file: Path, capsys: Said) -> None:
    file.write_bytes(file.read_bytes().replace(b'"n":1', b'"n":7'))
    assert verify(capsys, file) == (
        1,
        {
            "intact": False,
            "broken": {"line": 3, "record": 2, "problem": "the record was changed after it was written"},
            "runs": [],
        },
    )


def test_a_person_reads_what_stands(file: Path, archive: Path, capsys: Said) -> None:
    assert execute(["audit", "verify", str(file)]) == 0
    said = capsys.readouterr()
    assert "intact: refund-A17, 4 records, signed by 2026a, compared with no archive" in said.out
    assert "whoever made the file may have made its key too" in said.err
    assert execute(["audit", "verify", str(file), "--archive", str(archive)]) == 0
    assert "the archive has all of it, signed there by 2026a" in capsys.readouterr().out
    file.write_bytes(file.read_bytes()[:-1])
    assert execute(["audit", "verify", str(file)]) == 1
    assert "not intact: line 6: " in capsys.readouterr().out


def test_an_end_that_the_archive_did_not_see_is_told(file: Path, tmp_path: Path, capsys: Said) -> None:
    asyncio.run(store(tmp_path / "half").keep(segment(0, 2)))
    assert execute(["audit", "verify", str(file), "--archive", str(tmp_path / "half")]) == 0
    said = capsys.readouterr().out
    assert "only up to record 2, signed there by 2026a; the archive did not see the end" in said


def test_an_archive_is_checked_alone(archive: Path, capsys: Said) -> None:
    code, found = verify(capsys, "--archive", archive, "--key", PUBLIC)
    assert (code, found) == (0, {"intact": True, "parts": 1, "runs": 1, "unread": 0, "faults": []})
    code, found = verify(capsys, "--archive", archive, "--key", FORGER.public)
    assert (code, len(found["faults"])) == (1, 1)
    assert execute(["audit", "verify", "--archive", str(archive)]) == 0
    assert "1 parts of 1 runs are intact; 0 are not" in capsys.readouterr().out


def test_a_receipt_stands_alone_and_falls_by_one_byte(tmp_path: Path, capsys: Said) -> None:
    file = tmp_path / "receipts.jsonl"
    line = signed(receipts_of("refund-A17", PAID)[0], KEY)
    file.write_bytes(line + line)
    code, found = verify(capsys, file, "--key", PUBLIC)
    assert (code, [one["tool"] for one in found["receipts"]]) == (0, ["issue_refund", "issue_refund"])
    assert execute(["audit", "verify", str(file)]) == 0
    said = capsys.readouterr()
    assert "asked by rita@example.com, approved: ann, bob, signed by 2026a" in said.out
    odd = signed({"schema": "backstay.receipt/1", "approved_by": None}, KEY)
    for broken in (line + line.replace(b'"ann"', b'"eve"'), line + line[:-1], line + b"\n", line + odd):
        file.write_bytes(broken)
        code, found = verify(capsys, file, "--key", PUBLIC)
        assert (code, found["broken"]["line"]) == (1, 2)
    file.write_bytes(signed(receipts_of("refund-A17", PAID)[0], FORGER))
    assert verify(capsys, file, "--key", PUBLIC)[0] == 1


@pytest.mark.parametrize(
    "words", [(), ("no-such-file",), ("--archive", "ftp://x"), ("--archive", ""), ("-", "--key", "no key")], ids=str
)
def test_what_cannot_be_judged_is_a_usage_error(words: tuple[str, ...]) -> None:
    assert execute(["audit", "verify", *words]) == 2


def test_what_is_old_and_not_held_goes(archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    def prune(*words: str) -> tuple[int, Any]:
        code = execute(["audit", "prune", *words, "-o", "json"])
        return code, json.loads(capsys.readouterr().out)

    monkeypatch.setenv("BACKSTAY_ARCHIVE", str(archive))
    assert prune()[0] == 2
    monkeypatch.setenv("BACKSTAY_ARCHIVE_DAYS", "99999999999")
    assert prune()[0] == 2
    monkeypatch.setenv("BACKSTAY_ARCHIVE_DAYS", "1")
    monkeypatch.setenv("BACKSTAY_LEGAL_HOLD", "run:another, tenant:acme")
    assert prune("--yes") == (0, {"deleted": True, "runs": [], "parts": []})
    monkeypatch.setenv("BACKSTAY_LEGAL_HOLD", "tenants:acme")
    assert prune("--yes")[0] == 2
    monkeypatch.delenv("BACKSTAY_LEGAL_HOLD")
    code, found = prune()
    assert (code, found["deleted"], found["runs"]) == (0, False, ["refund-A17"])
    assert execute(["audit", "prune"]) == 0
    assert "to delete with --yes: 1 parts of 1 runs" in capsys.readouterr().err
    assert prune("--yes")[1]["runs"] == ["refund-A17"]
    assert not [one for one in archive.rglob("*") if one.is_file()]


def test_a_prune_without_an_archive_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKSTAY_ARCHIVE_DAYS", "1")
    assert execute(["audit", "prune"]) == 2


def test_keys_are_published_and_never_shown(monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    assert execute(["audit", "keys"]) == 2
    seed = base64.b64encode(bytes(range(32))).decode()
    monkeypatch.setenv("BACKSTAY_AUDIT_KEY", f"2026a:{seed}")
    assert execute(["audit", "keys"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{PUBLIC}\n"
    assert seed not in said.out + said.err
    assert execute(["audit", "keys", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"key": "2026a", "public": KEY.public}]
