"""Recorded histories, read again as those of past runs."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode

from backstay.adapters.payload.converter import data_converter
from backstay.checks.past_runs import PastRun, Unread, past_runs
from backstay.contracts.history import RunRef

HISTORIES = Path(__file__).parents[2] / "workflow" / "histories"


@dataclass
class Recorded:
    """A client whose server has one history, which may be another than was recorded."""

    history: WorkflowHistory
    namespace: str = "default"
    data_converter: Any = field(default_factory=data_converter)
    gone: RPCStatusCode | None = None

    def get_workflow_handle(self, workflow_id: str, run_id: str | None = None) -> "Recorded":
        assert (workflow_id, run_id) == (self.history.workflow_id, self.history.run_id)
        return self

    async def fetch_history(self) -> WorkflowHistory:
        if self.gone is not None:
            raise RPCError("gone", self.gone, b"")
        return self.history

    async def fetch_history_events(self) -> AsyncIterator[HistoryEvent]:
        for event in self.history.events:
            yield event


def recorded(name: str, old: str = "", new: str = "", gone: RPCStatusCode | None = None) -> Recorded:
    """A client of a recorded run, with a text in its history replaced."""
    text = (HISTORIES / f"{name}.json").read_text()
    assert old in text
    found = json.loads(text.replace(old, new) if old else text)
    return Recorded(WorkflowHistory.from_json(f"recorded-{name}", found), gone=gone)


async def read(client: Recorded) -> list[PastRun | Unread]:
    """What is read of a client's run."""
    ref = RunRef(client.history.workflow_id, client.history.run_id)
    found = [run async for run in past_runs(cast("Client", client), [ref])]
    assert all(one.ref == ref for one in found)
    return found


async def past(name: str, old: str = "", new: str = "") -> PastRun:
    """A recorded run as it is read again."""
    [found] = await read(recorded(name, old, new))
    assert isinstance(found, PastRun)
    return found
