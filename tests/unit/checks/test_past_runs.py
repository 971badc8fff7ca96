"""What policy was asked is found again in recorded histories."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistory

from backstay.adapters.payload.converter import data_converter
from backstay.checks.past_runs import PastRun, past_runs
from backstay.contracts.history import RunRef
from backstay.kernel.verdict import Outcome

HISTORIES = Path(__file__).parents[2] / "workflow" / "histories"


@dataclass
class Recorded:
    """A client whose server has one history, which may be another than was recorded."""

    history: WorkflowHistory
    namespace: str = "default"
    data_converter: Any = field(default_factory=data_converter)

    def get_workflow_handle(self, workflow_id: str, run_id: str | None = None) -> "Recorded":
        assert (workflow_id, run_id) == (self.history.workflow_id, self.history.run_id)
        return self

    async def fetch_history(self) -> WorkflowHistory:
        return self.history

    async def fetch_history_events(self) -> AsyncIterator[HistoryEvent]:
        for event in self.history.events:
            yield event


async def past(name: str, old: str = "", new: str = "") -> PastRun:
    """A recorded run as it is read again, with a text in its history replaced."""
    text = (HISTORIES / f"{name}.json").read_text()
    assert old in text
    history = WorkflowHistory.from_json(f"recorded-{name}", json.loads(text.replace(old, new) if old else text))
    ref = RunRef(history.workflow_id, history.run_id)
    [found] = [run async for run in past_runs(cast("Client", Recorded(history)), [ref])]
    assert found.ref == ref
    return found


async def test_questions_are_found_with_the_answers_that_the_history_has() -> None:
    run = await past("approved")
    assert run.trouble == ""
    assert run.admission is not None
    first, released = run.questions[0], run.questions[-1]
    assert [one.outcome for one in first.verdicts] == [Outcome.REQUIRE_APPROVAL, Outcome.ALLOW]
    assert not first.given.consents
    assert [one.outcome for one in released.verdicts] == [Outcome.ALLOW]
    [call] = released.given.calls
    assert released.given.consents[call.call_id].approved_by
    assert released.given.now >= first.given.now
    assert first.given.tools.keys() == {tool.name for tool in run.admission.tools}


async def test_a_history_that_does_not_replay_still_tells_its_calls() -> None:
    whole = await past("approved")
    run = await past("approved", '"activityId": "decide-1"', '"activityId": "decide-9"')
    assert "does not replay" in run.trouble
    assert run.questions == ()
    first = whole.questions[0]
    assert [one.call.call_id for one in run.calls][:2] == [call.call_id for call in first.given.calls]
    assert [one.verdict for one in run.calls][:2] == list(first.verdicts)


@pytest.mark.parametrize("name", ["completed", "killed", "no_progress", "denied_beside", "equal_calls"])
async def test_every_verdict_of_a_history_has_its_question(name: str) -> None:
    run = await past(name)
    assert run.trouble == ""
    assert run.questions
    assert all(len(one.given.calls) == len(one.verdicts) for one in run.questions)
