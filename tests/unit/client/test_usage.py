"""What a run has used itself, where its children have used a part of what it spent."""

from typing import Any

from backstay.client.usage import Used, by_model
from backstay.contracts.budget import LimitsInForce, Spent
from backstay.contracts.run import AuditSummary, ChildSpent, RunResult
from backstay.kernel.budget import Amount, Limits

WHOLE = Amount(steps=3, model_calls=5, tool_calls=5, input_tokens=50, usd=100, tools={"delegate": 1, "a": 4})
PART = Amount(model_calls=2, tool_calls=3, input_tokens=20, usd=40, tools={"a": 3})


def result(status: str) -> RunResult:
    spent = Spent.of(PART, 0)
    child = ChildSpent(run_id="c", call_id="1-0", agent="h", status=status, stop_reason=None, spent=spent, head="h")
    given: dict[str, Any] = {
        "answer": None,
        "status": "completed",
        "stop_reason": "completed",
        "stop_detail": None,
        "run_id": "boss",
        "agent": "lead",
        "agent_version": "1",
        "tenant": "t",
        "steps": 1,
        "spent": Spent.of(WHOLE, 1),
        "budget": LimitsInForce.of(Limits()),
        "in_flight": [],
        "policy_version": "p",
        "audit": AuditSummary(records=1, head="h"),
        "children": [child],
    }
    return RunResult(**given)


def test_what_a_child_has_used_is_counted_with_the_child() -> None:
    [own] = by_model(result("completed"), "m")
    assert own == Used("m", runs=1, model_calls=3, tool_calls=2, input_tokens=30, usd=60)


def test_a_child_that_left_no_result_is_counted_with_its_parent() -> None:
    [own] = by_model(result("unknown"), "m")
    assert (own.usd, own.model_calls) == (100, 5)
