"""The fleet's key: set, or made once and kept."""

import base64
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backstay.adapters.secret.fleet import fingerprint, fleet_key
from backstay.errors import ConfigurationError
from backstay.settings import Settings

KEY = os.urandom(32)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("BACKSTAY_FLEET_KEY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "backstay" / "fleet.key"


def test_a_key_that_is_set_is_used_and_nothing_is_kept(state: Path) -> None:
    assert fleet_key(Settings(fleet_key=base64.b64encode(KEY).decode() + "\n")) == KEY
    assert not state.exists()


@pytest.mark.parametrize("text", ["short", "not base64 !", base64.b64encode(b"x" * 31).decode(), "é" * 44])
def test_a_key_that_guards_nothing_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        fleet_key(Settings(fleet_key=text))
    assert "BACKSTAY_FLEET_KEY" in str(refused.value)
    assert text not in str(refused.value)


def test_a_key_is_made_once_and_is_the_owners_alone(state: Path) -> None:
    first = fleet_key(Settings())
    assert len(first) == 32
    assert fleet_key(Settings()) == first
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert [path.name for path in state.parent.iterdir()] == ["fleet.key"]


def test_workers_that_start_together_keep_the_same_key() -> None:
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda _: fleet_key(Settings()), range(40)))) == 1


def test_where_no_key_can_be_kept_the_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigurationError, match=r"BACKSTAY_FLEET_KEY.*openssl rand"):
        fleet_key(Settings())


def test_a_fingerprint_tells_keys_apart_and_is_no_part_of_one() -> None:
    assert fingerprint(KEY) == fingerprint(KEY) != fingerprint(os.urandom(32))
    assert fingerprint(KEY) not in KEY.hex()
