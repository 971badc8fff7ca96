"""What passes about the rate of an account: names and rates that can be, and words for people."""

import pytest
from pydantic import TypeAdapter, ValidationError

from backstay.contracts.messages import read_message
from backstay.contracts.quota import (
    Account,
    PacedRate,
    QuotaInput,
    SetQuota,
    Throttled,
    per_minute,
    read_per_minute,
    why,
)
from backstay.contracts.run import plain
from backstay.kernel.quota import Quota

ACCOUNT: TypeAdapter[str] = TypeAdapter(Account)
SETTING = SetQuota(rate=500_000, by="alice", reason="tier 2")


@pytest.mark.parametrize("name", ["openai-main", "A_1", "-", "x" * 64])
def test_an_account_has_letters_digits_and_dashes(name: str) -> None:
    assert ACCOUNT.validate_python(name) == name


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ü", "a.b", "x" * 65, "a\n", None, 7])
def test_nothing_else_is_the_name_of_an_account(name: object) -> None:
    with pytest.raises(ValidationError):
        ACCOUNT.validate_python(name)


@pytest.mark.parametrize(
    ("text", "seconds", "rate"),
    [("500", 60, 500_000), ("57.5", 60, 57_500), ("8.5", 1, 510_000), ("0.0019", 60, 1), ("1e3", 60, 1_000_000)],
)
def test_a_rate_is_read_exactly_and_never_rounded_up(text: str, seconds: int, rate: int) -> None:
    assert read_per_minute(text, seconds) == rate


@pytest.mark.parametrize("text", ["", "many", "nan", "inf", "0", "-5", "0.0001", "10000001", "1e99", "--"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a"):
        read_per_minute(text)


def test_a_rate_is_written_per_minute() -> None:
    assert [per_minute(rate) for rate in (500_000, 57_500, 1)] == ["500", "57.5", "0.001"]


@pytest.mark.parametrize("told", [{"rate": 0, "by": "alice"}, {"rate": 1.5, "by": "alice"}, {"rate": 5}, {"by": "a"}])
def test_a_setting_names_a_rate_and_a_person(told: dict[str, object]) -> None:
    assert isinstance(read_message(SetQuota, (told,)), list)


def test_a_refusal_may_say_nothing_more() -> None:
    assert read_message(Throttled, ({},)) == Throttled(wait_ms=0)
    assert isinstance(read_message(Throttled, ({"wait_ms": -1},)), list)


def test_only_an_earlier_link_hands_a_rate_on() -> None:
    begun = QuotaInput(account="main")
    assert QuotaInput.read((plain(begun),), continued=False) == begun
    handed = begun.model_copy(update={"quota": Quota(5, 5), "setting": SETTING})
    assert QuotaInput.read((plain(handed),), continued=True) == handed
    for part in ("quota", "setting"):
        one = {"account": "main", part: plain(handed)[part]}
        assert [str(found) for found in problems(one)] == [
            f"`{part}`: only an earlier link of the same workflow may hand this on"
        ]


def problems(*given: object) -> list[object]:
    read = QuotaInput.read(given, continued=False)
    assert isinstance(read, list)
    return [*read]


def test_a_start_that_does_not_fit_names_its_problems() -> None:
    assert [str(found) for found in problems()] == ["`$`: expected exactly one JSON object, got 0 inputs"]
    assert "`account`: the name of an account has" in str(problems({"account": "a b"})[0])


def test_the_server_is_told_what_was_set_by_whom_and_why_less_is_in_force() -> None:
    quota = Quota(500_000, 500_000)
    assert why(quota, SETTING) == "500 rpm, set by alice: tier 2"
    assert why(quota, None) == "500 rpm, found on the server"
    assert why(Quota(), SetQuota(rate=None, by="bob")) == "no limit, set by bob"
    lowered = why(quota.refuse(1), SETTING)
    assert lowered == (
        "500 rpm, set by alice: tier 2; lowered, because the provider refused calls with HTTP 429 at 500 rpm"
    )
    forgotten = Quota(500_000, 400_000)
    assert why(forgotten, SETTING).endswith("; lowered, because the provider refused calls with HTTP 429")
    long = SetQuota(rate=500_000, by="alice", reason="x" * 2_000)
    assert len(why(quota, long)) == 500
    assert "; lowered" in why(quota.refuse(1), long)


@pytest.mark.parametrize(
    ("rate", "reason", "configured"),
    [
        (250_000, "500 rpm, set by alice; lowered", 500_000),
        (250_000, "57.5 rpm, set by alice", 250_000),
        (250_000, "because", 250_000),
        (None, "500 rpm, set by alice", None),
    ],
    ids=["ours", "a rate that was raised by hand", "somebody else's", "no limit"],
)
def test_what_was_set_can_be_read_from_what_the_server_was_told(
    rate: int | None, reason: str, configured: int | None
) -> None:
    assert PacedRate(rate=rate, why=reason).configured == configured
