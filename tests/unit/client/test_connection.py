"""Where a command would connect to is known without a server."""

from pathlib import Path

import pytest

from backstay.client.connection import Place, place
from backstay.errors import ConfigurationError


@pytest.fixture(autouse=True)
def no_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without a profile, and without variables of Temporal."""
    profile = tmp_path / "temporal.toml"
    for name in ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(profile))
    return profile


def test_it_is_this_machine_unless_somebody_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place() == Place("localhost:7233", "default")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "engine.example:7233")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "prod")
    assert place() == Place("engine.example:7233", "prod")


def test_a_profile_that_cannot_be_read_is_said(no_profile: Path) -> None:
    no_profile.write_text("[profile")
    with pytest.raises(ConfigurationError):
        place()
