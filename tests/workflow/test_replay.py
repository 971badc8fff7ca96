"""Histories of real runs replay to the same decisions: a worker of today can take them over."""

import contextlib
import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowReplayResult
from temporalio.workflow import NondeterminismError

from backstay.adapters.payload.converter import data_converter
from backstay.app import folders
from backstay.app.workflows import sandbox

from .record_control import MONEY, SHORT_LINKS, short_link
from .record_control import NAMES as CONTROL
from .record_histories import FAMILY

HISTORIES = sorted(Path(__file__).with_name("histories").glob("*.json"))
HINT = "the workflow no longer does what it did; if it is not meant to, run `python -m tests.workflow.record_histories`"


def history(path: Path, old: str = "", new: str = "") -> WorkflowHistory:
    """A recorded history, with a text in it replaced."""
    text = path.read_text()
    assert old in text
    return WorkflowHistory.from_json(f"recorded-{path.stem}", json.loads(text.replace(old, new) if old else text))


def replayer(name: str) -> Replayer:
    return Replayer(
        workflows=[
            folders.agent_run.AgentRun,
            folders.effect.Effect,
            folders.control_plane.ControlPlane,
            folders.incident_sweep.Incident,
            folders.breakers.Breakers,
        ],
        # Inside of the sandbox the length of a link is what it is elsewhere.
        workflow_runner=UnsandboxedWorkflowRunner() if name in SHORT_LINKS else sandbox(checked=True),
        data_converter=data_converter(),
    )


async def replayed(name: str, found: WorkflowHistory) -> WorkflowReplayResult:
    with short_link(name) if name in SHORT_LINKS else contextlib.nullcontext():
        return await replayer(name).replay_workflow(found, raise_on_replay_failure=False)


def test_histories_were_recorded() -> None:
    names = {path.stem for path in HISTORIES}
    assert {
        "completed",
        "killed",
        "deadline",
        "paused",
        "cancelled",
        "invalid_input",
        "archived",
        "first_link",
        "second_link",
        "waiting_link",
        "waiting_next",
        "compacted",
        "judged_within",
        "kept_open",
        "effect_held",
        "effect_failed",
        *FAMILY,
        *CONTROL,
        MONEY,
    } <= names


def test_the_histories_of_what_stops_a_fleet_hold_all_that_it_lives_through() -> None:
    def events(name: str, word: str) -> int:
        return (Path(__file__).with_name("histories") / f"{name}.json").read_text().count(word)

    for name in SHORT_LINKS:
        assert events(name, "EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW") == 1
        assert events(f"{name}_next", '"continuedExecutionRunId"') == 1
    assert events("control_plane", "EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED") > 1
    assert events("control_plane", '"name": "trip"') > 0
    assert events("control_plane_next", '"name": "lift"') > 0
    assert events("control_plane_lost", '"name": "confirm"') > 0
    assert events("incident_next", '"name": "order"') == 2  # canaries failed, and others went well
    assert events("breakers", '"name": "trip"') == events("breakers", '"name": "announce"') == 1
    assert events("breakers_next", '"name": "lifted"') > 0
    assert events(MONEY, "EVENT_TYPE_MARKER_RECORDED") == events(MONEY, '"name": "trip"') == 1


@pytest.mark.parametrize("path", HISTORIES, ids=[path.stem for path in HISTORIES])
async def test_a_recorded_history_replays(path: Path) -> None:
    result = await replayed(path.stem, history(path))
    assert result.replay_failure is None, HINT


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("completed", '"name": "act"', '"name": "perform"'),
        ("completed", '"activityId": "decide-2"', '"activityId": "decide-7"'),
        ("completed", "EVENT_TYPE_MARKER_RECORDED", "EVENT_TYPE_TIMER_STARTED"),
        ("effect_held", '"name": "perform"', '"name": "act"'),
        ("effect_failed", '"activityId": "perform-1"', '"activityId": "perform-7"'),
        ("archived", '"name": "archive"', '"name": "act"'),
        ("waiting_link", "EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW", "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"),
        ("waiting_next", '"activityId": "act-1-1"', '"activityId": "act-1-0"'),
        ("compacted", '"activityId": "compact-1"', '"activityId": "compact-7"'),
        ("kept_open", '"activityId": "decide-3"', '"activityId": "decide-9"'),
        ("kept_open", "EVENT_TYPE_TIMER_CANCELED", "EVENT_TYPE_TIMER_FIRED"),
        ("killed", "EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED", "EVENT_TYPE_TIMER_CANCELED"),
        ("delegated", '"workflowId": "recorded-delegated/child-1-1', '"workflowId": "recorded-delegated/child-9-1'),
        ("delegated_child", '"activityId": "admit"', '"activityId": "decide-7"'),
        ("control_plane", '"name": "Incident"', '"name": "Sweep"'),
        ("incident", '"name": "find_runs"', '"name": "tell_runs"'),
        ("incident_next", '"name": "order"', '"name": "account_runs"'),
        ("breakers", '"name": "trip"', '"name": "lifted"'),
        ("breakers_next", '"name": "lifted"', '"name": "trip"'),
        (MONEY, "EVENT_TYPE_MARKER_RECORDED", "EVENT_TYPE_TIMER_STARTED"),
    ],
)
async def test_a_history_that_was_changed_does_not_replay(name: str, old: str, new: str) -> None:
    changed = history(Path(__file__).with_name("histories") / f"{name}.json", old, new)
    result = await replayed(name, changed)
    assert isinstance(result.replay_failure, NondeterminismError | RuntimeError)
