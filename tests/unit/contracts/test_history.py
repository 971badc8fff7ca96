"""What is read back from a run's history."""

from backstay.contracts.call import ToolResult
from backstay.contracts.decision import DecideInput, Decision
from backstay.contracts.history import Recorded, RunRef


def test_an_empty_history_records_nothing_and_shares_nothing_with_another() -> None:
    first, second = Recorded(), Recorded()
    assert (first.inputs, first.decisions, first.results) == ({}, {}, {})
    assert first.inputs is not second.inputs
    assert first.decisions is not second.decisions
    assert first.results is not second.results


def test_what_is_recorded_is_found_by_step_and_by_call() -> None:
    given = DecideInput(step=1, run_key="k", max_output_tokens=1, attempts=1)
    paid = ToolResult(status="completed", text="paid")
    recorded = Recorded({1: given}, {1: Decision(text="hm")}, {"1-0": paid})
    assert recorded.inputs[1] == given
    assert recorded.decisions[1].text == "hm"
    assert recorded.results["1-0"] == paid


def test_two_executions_of_one_workflow_are_two_runs() -> None:
    assert {RunRef("w", "r"): "memory"}[RunRef("w", "r")] == "memory"
    assert RunRef("w", "r") != RunRef("w", "after the reset")
