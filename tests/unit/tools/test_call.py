"""What a tool can do with its call: read a secret, report a cost, raise an alarm."""

from typing import Any

import pytest

from backstay.errors import SecretError
from backstay.kernel.money import MoneyError
from backstay.tools.call import ToolCall


def call(**given: Any) -> ToolCall:
    facts = {"run_id": "r1", "step": 3, "call_id": "c1", "idempotency_key": "k1", "agent": "support", "tenant": "acme"}
    return ToolCall(**{**facts, **given})


def test_a_secret_is_read_when_it_is_asked_for() -> None:
    asked: list[str] = []

    def read(name: str) -> str:
        asked.append(name)
        return "s3cr3t"

    made = call(read_secret=read)
    assert asked == []
    assert made.secret("SHOP_TOKEN") == "s3cr3t"
    assert asked == ["SHOP_TOKEN"]


def test_a_call_that_no_worker_made_has_no_secrets() -> None:
    with pytest.raises(SecretError, match="`SHOP_TOKEN`"):
        call().secret("SHOP_TOKEN")


def test_a_cost_is_reported_in_dollars_and_taken_in_micro_dollars() -> None:
    taken: list[int] = []
    call(take_cost=taken.append).report_cost("0.05")
    assert taken == [50_000]


def test_a_call_that_no_worker_made_drops_the_cost_but_reads_it() -> None:
    call().report_cost("0.05")
    with pytest.raises(MoneyError):
        call().report_cost("five cents")


def test_two_calls_are_equal_whatever_reads_their_secrets_and_show_none_of_it() -> None:
    assert call(read_secret=lambda name: "s3cr3t") == call()
    assert "read_secret" not in repr(call())


def test_an_alarm_is_taken_with_its_reason_in_words() -> None:
    taken: list[str] = []
    call(take_alarm=taken.append).raise_alarm("the till does not add up")
    call(take_alarm=taken.append).raise_alarm(ValueError("the till is gone"))  # type: ignore[arg-type]
    assert taken == ["the till does not add up", "the till is gone"]


def test_a_call_that_no_worker_made_drops_its_alarm() -> None:
    call().raise_alarm("nobody hears it")
