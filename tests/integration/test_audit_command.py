"""`backstay audit`: a person shows, exports, verifies and keeps evidence; a forger is found."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from backstay.adapters.archive.keys import audit_keys
from backstay.kernel.audit import AuditHead
from backstay.kernel.audit_file import Flaw, Trail, read, written
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

from .commands import Command, command_of

CANARY = 'canary/"4f1c+9'
KEY = "2026a:" + base64.b64encode(os.urandom(32)).decode()
FORGER = "2026a:" + base64.b64encode(os.urandom(32)).decode()
TOOLS = '''
from backstay.tools import ToolCall, tool

@tool(effect="write", secrets=["SHOP_TOKEN"])
def issue_refund(call: ToolCall, order: str, amount: int) -> str:
    """Refunds."""
    return f"refunded {amount} with {call.secret('SHOP_TOKEN')}"
'''
TOML = '[approval]\nrequire = { issue_refund = "finance" }\ngroups = { finance = ["alice@example.com"] }\n'
SCRIPT = [Reply(calls=[Call("issue_refund", {"order": "A17", "amount": 120})]), Reply("refunded")]


@dataclass
class Desk:
    """A run that has ended, its archive, and a command line."""

    run_id: str
    head: str
    archive: Path
    command: Command
    runtime: LocalRuntime
    folder: Path

    async def to_file(self, *words: str, name: str = "export.jsonl") -> Path:
        code, out, err = await self.command("audit", *words)
        assert code == 0, err
        (self.folder / name).write_text(out)
        return self.folder / name

    async def verify(self, *words: str) -> tuple[int | None, Any]:
        code, out, err = await self.command("audit", "verify", *words, "-o", "json")
        return code, json.loads(out or err)

    async def public(self) -> str:
        return (await self.command("audit", "keys"))[1].strip()


@pytest.fixture
async def desk(client: Client, agent_folder: Callable[..., Path], tmp_path: Path) -> AsyncGenerator[Desk]:
    agents, archive = agent_folder("clerk", TOML, TOOLS), tmp_path / "archive"
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "SHOP_TOKEN").write_text(CANARY)
    given: dict[str, Any] = {"archive": str(archive), "audit_key": KEY, "secrets": secrets}
    async with local_runtime(SCRIPT, agents=agents, client=client, **given) as runtime:
        request = {"goal": "refund A17", "agent": "clerk", "requested_by": "rita@example.com"}
        handle = await runtime.start(request, f"refund-{tmp_path.name}")
        while not (pending := (await handle.query("status"))["pending_approvals"]):
            pass
        await handle.execute_update(
            "approve", {"approval_id": pending[0]["approval_id"], "by": "alice@example.com", "comment": "fine"}
        )
        result = await handle.result()
        command = command_of(
            runtime, BACKSTAY_AUDIT_KEY=KEY, BACKSTAY_ARCHIVE=str(archive), COLUMNS="200", PYTHONWARNINGS="ignore"
        )
        yield Desk(handle.id, result["audit"]["head"], archive, command, runtime, tmp_path)


async def test_a_person_reads_who_did_what(desk: Desk) -> None:
    code, out, _ = await desk.command("audit", desk.run_id)
    assert code == 0
    for words in ("rita@example.com", "alice@example.com", "issue_refund: completed", "closed: completed"):
        assert words in out
    code, out, _ = await desk.command("audit", desk.run_id, "-o", "json")
    shown = json.loads(out)
    assert (shown["run_id"], shown["head"], list(shown)) == (desk.run_id, desk.head, ["run_id", "head", "records"])


async def test_an_export_is_whole_signed_and_agrees_with_the_archive(desk: Desk) -> None:
    file = await desk.to_file("export", desk.run_id)
    first, *_, last = (json.loads(line) for line in file.read_text().splitlines())
    assert (first["schema"], first["run_id"], last["head"]) == ("backstay.audit/1", desk.run_id, desk.head)
    assert set(last) == {"head", "records", "signature"}
    code, found = await desk.verify(str(file), "--archive", str(desk.archive), "--key", await desk.public())
    assert (code, found["intact"]) == (0, True)
    [run] = found["runs"]
    assert (run["signed_by"], run["anchored"], run["ends"]) == ("2026a", run["records"], True)


async def test_a_forged_history_with_a_rebuilt_chain_is_found_by_the_archive(desk: Desk) -> None:
    file = await desk.to_file("export", desk.run_id)
    sections = read(file.read_bytes())
    assert not isinstance(sections, Flaw)
    file.write_bytes(forged(sections[0].trail))
    assert (await desk.verify(str(file)))[0] == 0  # alone it agrees with itself
    code, found = await desk.verify(str(file), "--key", await desk.public())
    assert (code, found["broken"]["problem"]) == (1, "it is signed by another key than the one given: `2026a`")
    code, found = await desk.verify(str(file), "--archive", str(desk.archive), "--key", await desk.public())
    assert code == 1
    assert "the history was rewritten" in found["broken"]["problem"]


def forged(trail: Trail) -> bytes:
    """The same run, approved by somebody else, with a chain and a signature that fit."""
    head, records = AuditHead(), list[dict[str, Any]]()
    for record in trail.records:
        facts = json.loads(json.dumps(record["facts"]).replace("alice@example.com", "mallory@example.com"))
        head, made = head.chained(record["at"], record["event"], facts)
        records.append(made)
    [signer] = audit_keys(FORGER)
    return written(Trail(trail.run_id, trail.kind, head, records, executions=trail.executions, closed=True), signer)


async def test_a_receipt_stands_alone_and_falls_by_one_byte(desk: Desk) -> None:
    file = await desk.to_file("receipts", desk.run_id, name="receipts.jsonl")
    [line] = file.read_text().splitlines()
    receipt = json.loads(line)
    assert receipt["approved_by"] == ["alice@example.com"]
    assert (receipt["requested_by"], receipt["outcome"], receipt["key"]) == ("rita@example.com", "completed", "2026a")
    public = await desk.public()
    assert (await desk.verify(str(file), "--key", public))[0] == 0
    file.write_text(line.replace("alice", "alicf") + "\n")
    code, found = await desk.verify(str(file), "--key", public)
    assert (code, found["broken"]["line"]) == (1, 1)


async def test_receipts_need_a_key(desk: Desk) -> None:
    code, _, err = await command_of(desk.runtime, BACKSTAY_AUDIT_KEY="")("audit", "receipts", desk.run_id)
    assert (code, "BACKSTAY_AUDIT_KEY" in err) == (2, True)


async def test_a_run_that_temporal_forgot_is_read_in_the_archive(desk: Desk) -> None:
    name = "a run that Temporal never knew"
    code, _, _ = await desk.command("audit", name)
    assert code == 4
    from temporalio.api.common.v1 import WorkflowExecution
    from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

    client = desk.runtime.client
    one = DeleteWorkflowExecutionRequest(
        namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=desk.run_id)
    )
    await client.workflow_service.delete_workflow_execution(one)
    file = await desk.to_file("export", desk.run_id)
    assert json.loads(file.read_text().splitlines()[-1])["head"] == desk.head
    code, found = await desk.verify(str(file), "--archive", str(desk.archive))
    assert (code, found["runs"][0]["anchored"]) == (0, found["runs"][0]["records"])


async def test_the_archive_is_checked_alone_kept_by_hand_and_pruned(desk: Desk) -> None:
    code, found = await desk.verify("--archive", str(desk.archive), "--key", await desk.public())
    assert (code, found["parts"], found["runs"]) == (0, 1, 1)
    other = command_of(
        desk.runtime,
        BACKSTAY_ARCHIVE=str(desk.folder / "later"),
        BACKSTAY_ARCHIVE_DAYS="1",
        BACKSTAY_LEGAL_HOLD="tenant:acme",
    )
    code, out, err = await other("audit", "keep", desk.run_id, "-o", "json")
    assert (code, len(json.loads(out))) == (0, 1), err
    code, out, _ = await other("audit", "prune", "--yes", "-o", "json")
    assert (code, json.loads(out)) == (0, {"deleted": True, "runs": [], "parts": []})
    manifest = next((desk.folder / "later").rglob("*.manifest.json"))
    manifest.chmod(0o644)
    manifest.write_bytes(manifest.read_bytes().replace(b'"at":"20', b'"at":"19'))
    code, out, _ = await other("audit", "prune", "--yes", "-o", "json")
    assert (code, json.loads(out)["runs"]) == (0, [desk.run_id])
    assert not [file for file in (desk.folder / "later").rglob("*") if file.is_file()]


async def test_no_evidence_holds_a_secret(desk: Desk) -> None:
    lying = b"".join(file.read_bytes() for file in desk.archive.rglob("*") if file.is_file())
    assert b"refunded 120" in lying
    exported = (await desk.to_file("export", desk.run_id)).read_bytes()
    receipts = (await desk.to_file("receipts", desk.run_id)).read_bytes()
    for part in ("canary", "4f1c", KEY.partition(":")[2]):
        assert part.encode() not in lying + exported + receipts


@pytest.mark.parametrize("words", [(), ("no-such-file",), ("--archive", "ftp://x"), ("-", "--key", "no key")], ids=str)
async def test_what_cannot_be_judged_is_a_usage_error(words: tuple[str, ...], tmp_path: Path) -> None:
    from backstay.cli import execute

    assert execute(["audit", "verify", *words]) == 2
