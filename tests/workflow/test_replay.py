"""Histories of real runs replay to the same decisions: a worker of today can take them over."""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from backstay.adapters.payload.converter import data_converter
from backstay.app import folders
from backstay.app.worker import sandbox

HISTORIES = sorted(Path(__file__).with_name("histories").glob("*.json"))
HINT = "the workflow no longer does what it did; if it is not meant to, run `python -m tests.workflow.record_histories`"


def history(path: Path, old: str = "", new: str = "") -> WorkflowHistory:
    """A recorded history, with a text in it replaced."""
    text = path.read_text()
    assert old in text
    return WorkflowHistory.from_json(f"recorded-{path.stem}", json.loads(text.replace(old, new) if old else text))


def replayer() -> Replayer:
    return Replayer(
        workflows=[folders.agent_run.AgentRun, folders.effect.Effect],
        workflow_runner=sandbox(checked=True),
        data_converter=data_converter(),
    )


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
        "effect_held",
        "effect_failed",
    } <= names


@pytest.mark.parametrize("path", HISTORIES, ids=[path.stem for path in HISTORIES])
async def test_a_recorded_history_replays(path: Path) -> None:
    result = await replayer().replay_workflow(history(path), raise_on_replay_failure=False)
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
        ("killed", "EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED", "EVENT_TYPE_TIMER_CANCELED"),
    ],
)
async def test_a_history_that_was_changed_does_not_replay(name: str, old: str, new: str) -> None:
    changed = history(Path(__file__).with_name("histories") / f"{name}.json", old, new)
    result = await replayer().replay_workflow(changed, raise_on_replay_failure=False)
    assert isinstance(result.replay_failure, NondeterminismError | RuntimeError)
