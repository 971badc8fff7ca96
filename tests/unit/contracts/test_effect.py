"""An effect is started with a reference to a call, and with nothing else."""

from typing import Any

import pytest

from backstay.contracts import names
from backstay.contracts.effect import LONGEST_SECONDS, Claim, Claimed, EffectInput

CALL = {"workflow_id": "w", "run_id": "r", "call_id": "1-0", "task_queue": "q"}
START = {"call": CALL, "key": "k", "tenant": "acme", "tool": "pay", "effect": "once", "timeout": 5, "window": 60}
RESULT = {"status": "completed", "text": "5"}
HELD = {"performer": {"call": CALL}, "performances": 1, "result": RESULT, "free": False, "until_ms": 1}


def fields(*args: Any, continued: bool = False) -> list[str]:
    """The fields that do not fit."""
    read = EffectInput.read(args, continued=continued)
    return [problem.field for problem in read] if isinstance(read, list) else []


def test_a_reference_to_a_call_starts_an_effect() -> None:
    assert fields(START) == []


@pytest.mark.parametrize(
    ("args", "field"),
    [
        ((), "$"),
        ((START, START), "$"),
        (("text",), "$"),
        (({**START, "arguments": "{}"},), "arguments"),
        (({**START, "effect": "read"},), "effect"),
        (({**START, "timeout": 0},), "timeout"),
        (({**START, "window": float("nan")},), "window"),
        (({**START, "window": LONGEST_SECONDS * 2},), "window"),
        (({**START, "held": HELD},), "held"),
    ],
)
def test_a_start_that_does_not_fit_names_the_field(args: tuple[Any, ...], field: str) -> None:
    assert fields(*args) == [field]


def test_only_an_earlier_link_hands_a_result_on() -> None:
    assert fields({**START, "held": HELD}, continued=True) == []


def test_two_claims_of_one_call_differ_by_what_they_know() -> None:
    first, again = Claim.model_validate({"call": CALL}), Claim.model_validate({"call": CALL, "again": 1})
    assert first != again
    assert hash(first) == hash(Claim.model_validate({"call": CALL})) != hash(again)


def test_an_answer_without_a_result_asks_to_claim_again() -> None:
    assert Claimed() == Claimed(result=None, wait=False)


def test_effects_are_performed_on_a_task_queue_of_their_own() -> None:
    assert names.effects_queue("agents") == "agents-effects"
