"""A person's key: made once, the owner's alone, and never shown."""

import stat
from pathlib import Path

import pytest

from backstay.adapters.proof.key import key_file, new_key, own_key
from backstay.contracts.proof import SignedMessage
from backstay.errors import ConfigurationError

MESSAGE = SignedMessage(namespace="default", run_id="run-1", message="approve", content={"n": 10**20})


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "backstay"


def test_a_key_is_made_once_and_is_the_owners_alone(state: Path) -> None:
    assert own_key() is None
    made = new_key()
    assert stat.S_IMODE((state / "person.key").stat().st_mode) == 0o600
    kept = own_key()
    assert kept is not None
    assert kept.public == made.public
    assert made.public not in (state / "person.key").read_text()
    with pytest.raises(ConfigurationError, match="already"):
        new_key()


def test_a_file_that_holds_no_key_is_named(state: Path) -> None:
    state.mkdir()
    key_file().write_text("nonsense")
    with pytest.raises(ConfigurationError, match=r"person\.key.*backstay keys new"):
        own_key()


def test_where_no_key_can_be_kept_the_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigurationError, match=r"person\.key"):
        new_key()


def test_what_cannot_be_signed_is_said_before_it_is_sent() -> None:
    with pytest.raises(ConfigurationError, match="cannot be signed"):
        new_key().sign(MESSAGE)
