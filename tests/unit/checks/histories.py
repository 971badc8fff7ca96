"""Recorded histories, read again as those of past runs."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistory

from backstay.adapters.payload.converter import data_converter
from backstay.checks.past_runs import PastRun, past_runs
from backstay.contracts.history import RunRef

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
