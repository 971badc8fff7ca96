"""The pages in which a run's history is read: few for a whole one, small where only the last events are wanted."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import (
    ActivityTaskCompletedEventAttributes,
    ActivityTaskScheduledEventAttributes,
    History,
    HistoryEvent,
)
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryReverseRequest,
    GetWorkflowExecutionHistoryReverseResponse,
)
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from backstay.adapters.engine.history import MOST_EVENTS, PAGE_EVENTS, RunHistory
from backstay.contracts.call import ToolResult
from backstay.contracts.decision import DecideInput, DecideResult, Decision
from backstay.contracts.history import RunRef

RUN = RunRef("long", "run")


class Pages:
    """A server that hands a history out backwards, as many events at a time as it is asked for, and no more."""

    def __init__(self, steps: int) -> None:
        self.events: list[HistoryEvent] = []
        for step in range(1, steps + 1):
            self._activity(f"decide-{step}", DecideInput(step=step, run_key="k", max_output_tokens=1, attempts=1))
            self._ends(DecideResult(decision=Decision(text=f"step {step}")))
            self._activity(f"act-{step}-0", None)
            self._ends(ToolResult(status="completed", text=f"result {step}"))
            self.events += [HistoryEvent(event_id=len(self.events) + 1 + n) for n in range(8)]
        self.asked: list[int] = []

    def _activity(self, activity_id: str, given: Any) -> None:
        scheduled = ActivityTaskScheduledEventAttributes(activity_id=activity_id, input=payloads(given))
        kind = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        self.events.append(
            HistoryEvent(
                event_id=len(self.events) + 1, event_type=kind, activity_task_scheduled_event_attributes=scheduled
            )
        )

    def _ends(self, result: Any) -> None:
        done = ActivityTaskCompletedEventAttributes(scheduled_event_id=len(self.events), result=payloads(result))
        self.events.append(HistoryEvent(event_id=len(self.events) + 1, activity_task_completed_event_attributes=done))

    async def get_workflow_execution_history_reverse(
        self, asked: GetWorkflowExecutionHistoryReverseRequest
    ) -> GetWorkflowExecutionHistoryReverseResponse:
        self.asked.append(asked.maximum_page_size)
        await asyncio.sleep(0)
        end = int(asked.next_page_token or len(self.events))
        start = max(0, end - min(asked.maximum_page_size, MOST_EVENTS))
        page = History(events=reversed(self.events[start:end]))
        return GetWorkflowExecutionHistoryReverseResponse(history=page, next_page_token=str(start or "").encode())


def payloads(value: Any) -> Payloads:
    found: list[Payload] = pydantic_data_converter.payload_converter.to_payloads([value])
    return Payloads(payloads=found)


def reader(pages: Pages) -> RunHistory:
    client = SimpleNamespace(namespace="default", workflow_service=pages, data_converter=pydantic_data_converter)
    return RunHistory(cast("Client", client), "agents")


async def test_a_whole_history_is_read_in_the_fewest_pages() -> None:
    pages = Pages(100)
    recorded = await reader(pages).since(RUN, 0)
    assert sorted(recorded.inputs) == sorted(recorded.decisions) == list(range(1, 101))
    assert recorded.results["100-0"].text == "result 100"
    assert pages.asked == [MOST_EVENTS] * 5


async def test_what_is_recent_is_read_in_a_small_page_however_long_the_run_is() -> None:
    for steps in (10, 200):
        pages = Pages(steps)
        recorded = await reader(pages).since(RUN, steps - 1)
        assert sorted(recorded.decisions) == [steps - 1, steps]
        assert pages.asked == [PAGE_EVENTS]


async def test_what_is_missing_for_longer_is_read_in_large_pages_after_the_first() -> None:
    pages = Pages(200)
    recorded = await reader(pages).since(RUN, 150)
    assert sorted(recorded.decisions) == list(range(150, 201))
    assert pages.asked == [PAGE_EVENTS, MOST_EVENTS, MOST_EVENTS, MOST_EVENTS]
