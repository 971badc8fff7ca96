"""Settings read from the environment."""

import base64

import pytest

from backstay.errors import ConfigurationError
from backstay.settings import Settings, Targets, load_settings

SECRET = base64.b64encode(b"s" * 32).decode()


def test_settings_do_not_show_the_keys() -> None:
    assert SECRET not in repr(Settings(codec_keys=f"new:{SECRET}"))


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("8081", "127.0.0.1:8081"),
        (":8081", "127.0.0.1:8081"),
        ("0.0.0.0:8081", "0.0.0.0:8081"),
        ("[::1]:8081", "[::1]:8081"),
    ],
)
def test_health_is_answered_on_loopback_unless_an_address_is_given(given: str, address: str) -> None:
    assert Settings(health=given).health == address


@pytest.mark.parametrize("given", ["eighty", "127.0.0.1:", "127.0.0.1:0", "65536", "::x"])
def test_what_is_no_address_is_refused_by_the_name_of_its_variable(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKSTAY_HEALTH", given)
    with pytest.raises(ConfigurationError, match=r"`BACKSTAY_HEALTH`[^|]*write `host:port`"):
        load_settings()


@pytest.mark.parametrize(
    ("given", "targets"),
    [
        ("fixed", None),
        (" 1200 ", 1_200),
        ("resources", Targets(0.8, 0.9)),
        ("memory=0.7,cpu=1", Targets(0.7, 1)),
        ("memory=0.5", Targets(0.5, 0.9)),
        (" cpu = 0.5 ", Targets(0.8, 0.5)),
    ],
)
def test_slots_are_a_number_or_parts_of_the_machine(given: str, targets: Targets | int | None) -> None:
    assert Settings(slots=given).slots == targets  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given", ["many", "0", "-3", "memory", "memory=0", "memory=1.1", "cpu=-1", "memory=nan", "disk=0.5", "cpu=x"]
)
def test_slots_that_say_nothing_are_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKSTAY_SLOTS", given)
    with pytest.raises(ConfigurationError, match=r"`BACKSTAY_SLOTS`[^|]*write a number, `fixed`, `resources`"):
        load_settings()


def test_no_health_is_answered_unless_somebody_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BACKSTAY_HEALTH", raising=False)
    assert load_settings().health is None
