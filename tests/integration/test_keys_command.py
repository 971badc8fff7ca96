"""`backstay keys`: a key of one's own, and its lines for the file of people."""

import json
import stat
from pathlib import Path

import pytest

from backstay.adapters.proof.people import read_people
from backstay.cli import execute

ANN = 'Ann "the boss" Lee <ann@example.com>'


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("BACKSTAY_USER", ANN)
    return tmp_path / "backstay" / "person.key"


def test_a_new_key_is_kept_and_its_lines_are_a_file_of_people(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["keys", "new"]) == 0
    written = capsys.readouterr().out
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert state.read_text() not in written
    (tmp_path / "people.toml").write_text(written)
    person = read_people(tmp_path / "people.toml").person("ann@example.com")
    assert person is not None
    assert execute(["keys", "show"]) == 0
    assert capsys.readouterr().out == written
    assert execute(["keys", "show", "--by", "ann", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"person": "ann", "public": person.keys[0]}


def test_a_key_is_never_written_over(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["keys", "new"]) == 0
    kept = state.read_bytes()
    assert execute(["keys", "new"]) == 2
    assert "you have a key already" in capsys.readouterr().err
    assert state.read_bytes() == kept


def test_without_a_key_the_mend_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["keys", "show"]) == 2
    assert "backstay keys new" in capsys.readouterr().err
