"""What a run hands down to a child, and how its end is read."""

from typing import Any

import pytest

from backstay.contracts.budget import LimitsInForce, Spent
from backstay.contracts.decision import ProposedCall
from backstay.contracts.delegate import (
    Above,
    ChildBudget,
    ChildEnd,
    ChildRequest,
    DelegateArguments,
    ParentRun,
    agents_above,
    asked_by_person,
    ending_of,
    parent_of,
    read_start,
    recorded_start,
    report_of,
    words_of,
)
from backstay.contracts.problems import Problem
from backstay.contracts.run import AuditSummary, RunRequest, RunResult, plain
from backstay.kernel.budget import Amount, Limits
from backstay.kernel.carving import Report

PARENT = ParentRun(
    run_id="boss", call_id="1-0", goal="the person's", limits=Limits(usd=5), depth=1, tools=["a"], above=[]
)
START: dict[str, Any] = {"goal": "help", "agent": "helper", "parent": plain(PARENT)}


def result(**changes: Any) -> RunResult:
    spent = Spent.of(Amount(steps=2, model_calls=2, usd=30, input_tokens=9, tools={"a": 1}), 3, 7)
    given: dict[str, Any] = {
        "answer": "helped",
        "status": "completed",
        "stop_reason": "completed",
        "stop_detail": None,
        "run_id": "boss/child",
        "agent": "helper",
        "agent_version": "1",
        "tenant": "acme",
        "steps": 2,
        "spent": spent,
        "budget": LimitsInForce.of(Limits()),
        "in_flight": [],
        "policy_version": "p",
        "audit": AuditSummary(records=9, head="sha256:h"),
        "exposure": {"refunds": {"run": "0.5", "day": "9"}, "lost": {"day": "1"}},
        **changes,
    }
    return RunResult(**given)


def test_what_a_parent_hands_down_is_taken_where_the_engine_names_that_parent() -> None:
    request = read_start((START,), "boss")
    assert isinstance(request, ChildRequest)
    assert (parent_of(request), asked_by_person(request)) == (PARENT, "the person's")


@pytest.mark.parametrize("given", [{**START, "parent": None}, START])
def test_where_the_engine_names_no_parent_the_field_is_unknown(given: dict[str, Any]) -> None:
    problems = read_start((given,), None)
    assert isinstance(problems, list)
    assert [one.field for one in problems] == ["parent"]


def test_another_parent_than_the_engines_is_refused() -> None:
    problem = Problem(field="parent.run_id", problem="is not the workflow that has started this one")
    assert read_start((START,), "mallory") == [problem]


def test_a_child_that_is_handed_nothing_is_a_run_like_any_other() -> None:
    request = read_start(({"goal": "help"},), "some workflow")
    assert request == RunRequest(goal="help")
    assert (parent_of(RunRequest(goal="help")), asked_by_person(RunRequest(goal="help"))) == (None, "help")


def test_the_agents_above_are_those_of_all_runs_above() -> None:
    above = [Above(agent="lead", version="1"), Above(agent="writer", version="2")]
    assert agents_above(PARENT.model_copy(update={"above": above})) == ["lead", "writer"]
    assert agents_above(None) is None


@pytest.mark.parametrize("given", [(), ("text",), ({"parent": 1}, 2)])
def test_anything_else_is_no_start(given: tuple[Any, ...]) -> None:
    assert isinstance(read_start(given, "boss"), list)


@pytest.mark.parametrize("given", ["text", {"parent": 1}, {"goal": "x", "parent": {"run_id": 1}}])
def test_a_start_that_does_not_fit_is_none_in_a_history_either(given: object) -> None:
    assert isinstance(recorded_start(given), list)


def test_a_start_is_read_from_a_history_as_it_was_admitted() -> None:
    assert isinstance(recorded_start(START), ChildRequest)
    assert recorded_start({"goal": "x"}) == RunRequest(goal="x")


def test_a_child_has_requester_tenant_and_metadata_of_its_parent_and_no_proof() -> None:
    metadata = {"ticket": "T1", "backstay.proof": "signed"}
    above = RunRequest(goal="lead", agent="lead", tenant="acme", requested_by="ann", metadata=metadata)
    child = ChildRequest.of(above, DelegateArguments(agent="helper", goal="help"), PARENT)
    assert (child.goal, child.agent, child.tenant, child.requested_by) == ("help", "helper", "acme", "ann")
    assert (child.metadata, child.budget) == ({"ticket": "T1"}, None)
    assert child.unsigned() == child


def call(arguments: str) -> ProposedCall:
    return ProposedCall(call_id="1-0", tool="delegate", arguments=arguments)


def test_the_arguments_of_a_call_say_what_is_asked_for() -> None:
    read = DelegateArguments.of(call('{"agent": "helper", "goal": "x", "budget": {"usd": "0.10", "steps": 3}}'))
    assert read is not None
    assert read.asked == Limits(usd=100_000, steps=3)
    assert DelegateArguments(agent="helper", goal="x").asked == Limits()
    assert ChildBudget(tokens=5, tool_calls=6, seconds=7).limits() == Limits(tokens=5, tool_calls=6, seconds=7)


@pytest.mark.parametrize("arguments", ["{", "{}", '{"agent": "helper", "goal": ""}'])
def test_arguments_that_do_not_fit_are_none(arguments: str) -> None:
    assert DelegateArguments.of(call(arguments)) is None


def test_the_report_of_a_child_counts_what_may_have_happened_of_each_meter() -> None:
    spent = Amount(steps=2, model_calls=2, usd=30, input_tokens=9, tools={"a": 1}, exposure={"refunds": 5_000})
    assert report_of(result()) == Report("completed", "completed", spent, 7, 9, "sha256:h")


def test_an_answer_is_what_the_model_reads() -> None:
    end = ChildEnd(result=result())
    assert (end.answered, end.words, end.report()) == (True, "helped", report_of(result()))
    assert ChildEnd(result=result(answer=None)).words == ""


def test_a_child_that_was_stopped_says_why_and_what_it_said_last() -> None:
    stopped = result(status="stopped", stop_reason="budget_exhausted", stop_detail="usd", answer="half of it")
    words = ChildEnd(result=stopped).words
    assert words == words_of(stopped)
    assert "(budget_exhausted: usd); its last answer was: half of it" in words
    assert words_of(result(status="stopped", stop_reason="killed", answer=None)).endswith("(killed)")


def test_a_child_without_a_result_has_no_report_and_one_that_was_refused_has_spent_nothing() -> None:
    assert (ChildEnd().report(), ChildEnd().words, ChildEnd().answered) == (None, "", False)
    assert ChildEnd(refused="no").report() == Report("refused", "invalid_input")


def test_a_failure_tells_its_result_or_why_it_never_began() -> None:
    failed = result(status="failed", stop_reason="model_unavailable")
    assert ending_of("ModelUnavailable", "gone", [plain(failed)]) == ChildEnd(result=failed)
    assert ending_of("InternalError", "a bug", []) == ChildEnd()
    refused = ending_of("InvalidInput", "invalid input: `agent`: unknown", [[]])
    assert refused.refused == "not executed: the agent could not be asked: invalid input: `agent`: unknown"
    assert ending_of("IncidentStop", "a stop covers it", []).refused is not None
