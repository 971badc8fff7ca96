"""A workflow that has seen what no task has brought is not asked, and not kept."""

from collections.abc import Iterator

import pytest
from temporalio.bridge.proto.workflow_activation import WorkflowActivation

from backstay.adapters.engine.sandbox import Ahead


@pytest.fixture(autouse=True)
def nothing_refused() -> Iterator[None]:
    Ahead.refused.clear()
    yield
    Ahead.refused.clear()


def activation(kind: str, length: int = 0, at: int = 0, run_id: str = "run-1") -> WorkflowActivation:
    act = WorkflowActivation(run_id=run_id, history_length=length)
    act.timestamp.seconds = at
    getattr(act.jobs.add(), kind).SetInParent()
    return act


def refusals(*activations: WorkflowActivation) -> list[bool]:
    ahead = Ahead()
    return [ahead.refuses(one) for one in activations]


FIRST = activation("initialize_workflow", 3, 10)
QUERY = activation("query_workflow", 3, 10)
UNTOLD = activation("fire_timer", 7, 10)
"""A timer that has fired after the last task, played for a query."""


def test_tasks_and_queries_take_turns() -> None:
    task = activation("fire_timer", 11, 12)
    assert refusals(FIRST, QUERY, task, QUERY, activation("signal_workflow", 18, 13)) == [False] * 5


def test_what_a_local_activity_brings_within_a_task_is_no_running_ahead() -> None:
    assert refusals(FIRST, activation("resolve_activity", 3, 10), QUERY, activation("fire_timer", 9, 11)) == [False] * 4


def test_a_query_that_comes_after_untold_events_is_refused_once() -> None:
    assert refusals(FIRST, UNTOLD, QUERY) == [False, False, True]
    assert refusals(FIRST, UNTOLD, QUERY) == [False, False, False], "a run that has closed is asked again and again"


def test_a_task_of_a_workflow_that_has_answered_ahead_is_refused_and_its_removal_is_not() -> None:
    refusals(FIRST, UNTOLD, QUERY)
    later = activation("signal_workflow", 11, 12)
    assert refusals(FIRST, UNTOLD, QUERY, later, activation("remove_from_cache")) == [False, False, False, True, False]


def test_only_the_latest_runs_are_remembered() -> None:
    for number in range(1_001):
        refusals(FIRST, UNTOLD, activation("query_workflow", 7, 10, f"run-{number}"))
    assert (len(Ahead.refused), "run-0" in Ahead.refused) == (1_000, False)
