"""Reads a run's own history from Temporal: forwards for its start, backwards for recent events."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    GetWorkflowExecutionHistoryReverseRequest,
    GetWorkflowExecutionHistoryReverseResponse,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backstay.contracts import names
from backstay.contracts.admission import Admission, Opening
from backstay.contracts.call import ActInput, ToolResult
from backstay.contracts.carry import Start, recorded_link
from backstay.contracts.conversation import Kept
from backstay.contracts.decision import DecideInput, DecideResult, Decision
from backstay.contracts.delegate import parent_of
from backstay.contracts.effect import EffectInput
from backstay.contracts.history import Handed, Recorded, RunRef
from backstay.contracts.recall import Recalled, RecallInput, Recollection
from backstay.contracts.run import RunRequest
from backstay.errors import ForeignRunError, HistoryError, HistoryGoneError
from backstay.kernel.keys import act_id, run_key

from .executions import listed
from .links import continues

PAGE_EVENTS = 30
"""The events of the first page, because what is read is mostly recent."""
OPENING_EVENTS = 12
MOST_EVENTS = 256
"""The most events that the engine puts on a page."""
T = TypeVar("T")
Request = TypeVar("Request", GetWorkflowExecutionHistoryRequest, GetWorkflowExecutionHistoryReverseRequest)
_Page = GetWorkflowExecutionHistoryResponse | GetWorkflowExecutionHistoryReverseResponse

_CLOSED = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
    }
)
_ENDED = frozenset(
    {
        EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
        EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED,
    }
)
_BY_ITSELF = frozenset(
    {EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW}
)
_NO_SUCH_RUN = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)


class RunHistory:
    """A reader of the histories of the runs of some task queues; it reads one link of a chain, never the next."""

    def __init__(self, client: Client, *task_queues: str) -> None:
        self._client = client
        self._task_queues = task_queues

    async def opening(self, run: RunRef) -> Opening:
        """Reads the request and the admission.

        Raises:
            HistoryError: the history does not begin with an admission.
            ForeignRunError: the workflow is no run of this task queue.
        """
        request: RunRequest | None = None
        reset = False
        first_run_id = ""
        admit: int | None = None
        async for event in self._forwards(run):
            if event.HasField("workflow_execution_started_event_attributes"):
                started = event.workflow_execution_started_event_attributes
                self._check_ours(started, names.AGENT_RUN)
                first_run_id = started.first_execution_run_id
                reset = _continues_another(started, run)
                start = await self._start(started)
                request = start.request
                if start.carried is not None:
                    return self._opened(run, first_run_id, request, start.carried.admission, reset, continues(started))
            elif _scheduled(event) == names.ADMIT:
                admit = event.event_id
            elif (
                event.HasField("activity_task_completed_event_attributes")
                and event.activity_task_completed_event_attributes.scheduled_event_id == admit
                and request is not None
            ):
                result = event.activity_task_completed_event_attributes.result.payloads
                return self._opened(run, first_run_id, request, await self._decoded(result, Admission), reset)
        raise HistoryError("the history holds no admission")

    def _opened(
        self,
        run: RunRef,
        first_run_id: str,
        request: RunRequest,
        admission: Admission,
        reset: bool,
        continues: str | None = None,
    ) -> Opening:
        parent = parent_of(request)
        return Opening(
            run_id=run.workflow_id,
            run_key=run_key(self._client.namespace, run.workflow_id, first_run_id),
            goal=request.goal,
            agent=request.agent,
            tenant=request.tenant,
            requested_by=request.requested_by,
            metadata=request.unsigned().metadata,
            admission=admission,
            reset=reset,
            asked=None if parent is None else parent.goal,
            above=parent.above if parent else [],
            labels=parent.labels if parent else [],
            continues=continues,
        )

    async def recalled(self, run: RunRef) -> Recollection:
        """Reads the conversation that a link of a chain began with.

        Raises:
            HistoryError: the history does not hold all of its pieces.
        """
        asked: dict[int, RecallInput] = {}
        items: list[Kept] = []
        results: dict[str, str] = {}
        async for event in self._forwards(run):
            if (_scheduled(event) or "").startswith(names.RECALL):
                given = event.activity_task_scheduled_event_attributes.input.payloads
                asked[event.event_id] = await self._decoded(given, RecallInput)
            done = event.activity_task_completed_event_attributes
            if done.scheduled_event_id in asked:
                piece = await self._decoded(done.result.payloads, Recalled)
                items += piece.items
                results |= piece.results
                if not piece.more:
                    return Recollection(items, asked[done.scheduled_event_id].step, results)
        raise HistoryError("the history does not hold the whole conversation of the links before")

    async def since(self, run: RunRef, step: int) -> Recorded:
        """Reads the inputs, decisions and tool results of a step and of all steps after it.

        Args:
            run: the run to read.
            step: the first step to read; 0 reads all.
        """
        inputs: dict[int, DecideInput] = {}
        decisions: dict[int, Decision] = {}
        results: dict[str, ToolResult] = {}
        completed: dict[int, Sequence[Payload]] = {}
        async for event in self._backwards(run, whole=step == 0):
            if event.HasField("activity_task_completed_event_attributes"):
                done = event.activity_task_completed_event_attributes
                completed[done.scheduled_event_id] = done.result.payloads
                continue
            activity_id = _scheduled(event)
            if activity_id is None:
                continue
            kind, _, rest = activity_id.partition("-")
            if kind == names.RECALL:
                break  # what lies before is the conversation of earlier links
            result = completed.pop(event.event_id, None)
            if kind == names.ACT and result is not None and rest not in results:
                results[rest] = await self._decoded(result, ToolResult)
            if kind == names.DECIDE:
                given = event.activity_task_scheduled_event_attributes.input.payloads
                inputs[int(rest)] = await self._decoded(given, DecideInput)
                if result is not None:
                    decided = await self._decoded(result, DecideResult)
                    if decided.decision is not None:
                        decisions[int(rest)] = decided.decision
                if int(rest) <= step:
                    break
        return Recorded(inputs, decisions, results)

    async def handed(self, run: RunRef, call_id: str) -> Handed | None:
        """Finds the last `act` activity of a call.

        Returns:
            Its input, whether it has ended, and its result if it has one; None where the run has no such call.

        Raises:
            HistoryGoneError: there is no such run.
        """
        ended: set[int] = set()
        results: dict[int, Sequence[Payload]] = {}
        closed: bool | None = None
        async for event in self._backwards(run):
            closed = event.event_type in _CLOSED if closed is None else closed
            attributes: Any = getattr(event, event.WhichOneof("attributes") or "", None)
            if event.event_type in _ENDED:
                ended.add(attributes.scheduled_event_id)
                if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                    results[attributes.scheduled_event_id] = attributes.result.payloads
            elif _scheduled(event) == act_id(call_id) and attributes.activity_type.name == names.ACT:
                given = await self._decoded(attributes.input.payloads, ActInput)
                result = results.get(event.event_id)
                seen = await self._decoded(result, ToolResult) if result is not None else None
                return Handed(given, closed or event.event_id in ended, seen)
        return None

    async def effect_was_reset(self, effect: RunRef) -> bool:
        """Tells whether a shared effect continues another one after a reset.

        Raises:
            HistoryError: Temporal could not be asked.
            ForeignRunError: the workflow is no shared effect of this task queue.
        """
        async for event in self._forwards(effect):
            started = event.workflow_execution_started_event_attributes
            self._check_ours(started, names.EFFECT)
            return _continues_another(started, effect)
        return False

    async def cut_short(self, effect: RunRef) -> ToolResult | None:
        """Looks for an earlier effect of the same id that was ended from outside after it had begun to perform.

        Returns:
            Its result, of status `unknown` where it had none yet; None where nothing was begun, or its window is over.

        Raises:
            HistoryError: Temporal could not be asked.
        """
        for other in await self.relatives(effect):
            with contextlib.suppress(HistoryGoneError):
                if found := await self._left_behind(other):
                    return found
        return None

    async def _left_behind(self, effect: RunRef) -> ToolResult | None:
        events = [event async for event in self._backwards(effect)]
        closed, started = events[0], events[-1].workflow_execution_started_event_attributes
        performed = [event.event_id for event in events if (_scheduled(event) or "").startswith(names.PERFORM)]
        if closed.event_type in _BY_ITSELF or started.workflow_type.name != names.EFFECT or not performed:
            return None
        given = await self._decoded(started.input.payloads, EffectInput)
        if closed.event_time.ToDatetime(UTC) + timedelta(seconds=given.window) < datetime.now(UTC):
            return None
        for event in events:
            done = event.activity_task_completed_event_attributes
            if done.scheduled_event_id == performed[0]:
                return await self._decoded(done.result.payloads, ToolResult)
        return ToolResult(status="unknown", text="the outcome is unknown: the shared effect was ended from outside")

    async def relatives(self, run: RunRef) -> list[RunRef]:
        """Finds the other runs under the same workflow id, including runs that a reset continued here.

        Raises:
            HistoryError: Temporal could not be asked.
        """
        found: list[RunRef] = []
        # Read from the history as well, because the list of runs below may lag behind a recent reset.
        async for event in self._backwards(run):
            failed = event.workflow_task_failed_event_attributes
            if failed.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW:
                found.append(RunRef(run.workflow_id, failed.base_run_id))
        try:
            async for other in listed(self._client, f"WorkflowId = {json.dumps(run.workflow_id)}"):
                found.append(RunRef(other.workflow_id, other.run_id))
        except RPCError as error:
            raise HistoryError(f"the engine could not be asked: {error.message}") from error
        return [other for other in dict.fromkeys(found) if other != run]

    def _check_ours(self, started: WorkflowExecutionStartedEventAttributes, kind: str) -> None:
        # INVARIANT: the engine wrote this event, so nobody who schedules an activity can forge it.
        if started.workflow_type.name != kind or started.task_queue.name not in self._task_queues:
            queues = ", ".join(f"`{queue}`" for queue in self._task_queues)
            raise ForeignRunError(f"only a workflow `{kind}` of the task queue {queues} may ask for this")

    async def _start(self, started: WorkflowExecutionStartedEventAttributes) -> Start:
        payloads = started.input.payloads
        given = (await self._client.data_converter.decode(payloads))[0] if payloads else None
        # INVARIANT: the engine wrote who started this execution, so that no start from outside can hand anything on.
        start = recorded_link(given, continued=continues(started) is not None)
        if isinstance(start, Start):
            return start
        raise HistoryError("the history does not begin with a request")

    async def _decoded(self, payloads: Sequence[Payload], kind: type[T]) -> T:
        values: list[Any] = await self._client.data_converter.decode(payloads, [kind])
        return values[0]

    def _forwards(self, run: RunRef) -> AsyncIterator[HistoryEvent]:
        read = self._client.workflow_service.get_workflow_execution_history
        return self._events(run, read, GetWorkflowExecutionHistoryRequest, OPENING_EVENTS)

    def _backwards(self, run: RunRef, *, whole: bool = False) -> AsyncIterator[HistoryEvent]:
        read = self._client.workflow_service.get_workflow_execution_history_reverse
        return self._events(
            run, read, GetWorkflowExecutionHistoryReverseRequest, MOST_EVENTS if whole else PAGE_EVENTS, ahead=whole
        )

    async def _events(
        self,
        run: RunRef,
        read: Callable[[Request], Awaitable[_Page]],
        request: type[Request],
        page_size: int,
        *,
        ahead: bool = False,
    ) -> AsyncGenerator[HistoryEvent]:
        """Yields every event of every page: the first of that size, all others as large as the engine makes them.

        With `ahead` the next page is asked for while the present one is read.

        Raises:
            HistoryError: Temporal could not be asked.
            HistoryGoneError: Temporal knows no such run.
        """
        execution = WorkflowExecution(workflow_id=run.workflow_id, run_id=run.run_id)

        async def page_of(token: bytes, size: int) -> _Page:
            asked = request(namespace=self._client.namespace, execution=execution, maximum_page_size=size)
            asked.next_page_token = token
            try:
                return await read(asked)
            except RPCError as error:
                kind = HistoryGoneError if error.status in _NO_SUCH_RUN else HistoryError
                raise kind(f"the engine could not be asked: {error.message}") from error

        page = await page_of(b"", page_size)
        while True:
            token = page.next_page_token
            following = asyncio.create_task(page_of(token, MOST_EVENTS)) if token and ahead else None
            try:
                for event in page.history.events:
                    yield event
                if not token:
                    return
                page = await (following or page_of(token, MOST_EVENTS))
            finally:
                if following is not None:
                    following.cancel()


def _continues_another(started: WorkflowExecutionStartedEventAttributes, run: RunRef) -> bool:
    return started.original_execution_run_id != run.run_id


def _scheduled(event: HistoryEvent) -> str | None:
    """Returns the id of the activity that an event schedules, or None."""
    if event.event_type != EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
        return None
    return event.activity_task_scheduled_event_attributes.activity_id
