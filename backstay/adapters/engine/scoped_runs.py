"""Finds the runs in the scope of an incident, tells them, and reads what became of them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from backstay.contracts import names
from backstay.contracts.delegate import recorded_start
from backstay.contracts.incident import (
    STANDING_KEY,
    CallInFlight,
    FoundRun,
    Held,
    IncidentOrder,
    PlaneInput,
    RunReport,
)
from backstay.contracts.run import RunRequest, RunResult, plain
from backstay.errors import CodecError, HistoryError, InvalidInputError, NoResultError
from backstay.kernel.control import Incident
from backstay.kernel.scope import Scope, ScopeKind, Subject
from backstay.kernel.stop import StopReason

from .control import unencrypted
from .entities import NO_ANSWER
from .errors import result_of_failure
from .executions import Execution, described, listed_page

BETWEEN_LINKS_MS = 1_000
"""The longest time, in milliseconds, between the end of a link and the begin of the next one; seldom as much as one."""
_PATIENCE = timedelta(seconds=5)
_ATTRIBUTES: Mapping[ScopeKind, str] = {ScopeKind.TENANT: "BackstayTenant", ScopeKind.AGENT: "BackstayAgent"}
_FAILURES = frozenset(
    {
        StopReason.OUTCOME_UNKNOWN,
        StopReason.NO_PROGRESS,
        StopReason.MALFORMED_CALLS,
        StopReason.TOOL_FAILURES,
        StopReason.MODEL_UNAVAILABLE,
    }
)


class ScopedRuns:
    """A reader of the runs of a namespace, whatever their task queue."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def open_runs(self, incident: Incident, after: bytes, rows: int) -> tuple[list[FoundRun], bytes]:
        """Returns some of the open runs in scope, and where they end.

        Raises:
            HistoryError: the engine could not be asked.
        """
        found: list[FoundRun] = []
        page, following = await self._in_scope("CloseTime IS NULL", incident.scope, after, rows)
        for execution in page:
            held = await _held(execution)
            mine = held is not None and incident.id in held.incidents
            found.append(FoundRun(run_id=execution.workflow_id, held=held if mine else None))
        return found, following

    async def closed_runs(self, incident: Incident, after: bytes, rows: int) -> tuple[list[str], bytes]:
        """Returns some of the runs in scope that were open when the stop came, and closed or went on in another link.

        The last link of a run may begin after the stop came; and while the engine's index has not yet shown a link
        that has begun, the one before it tells of the run.

        Raises:
            HistoryError: the engine could not be asked.
        """
        came = _quoted(incident.told.at_ms)
        # A run between two links when the stop came has none that began before it came and closed after.
        linked = (
            f"ExecutionStatus = 'ContinuedAsNew' AND CloseTime >= {_quoted(incident.told.at_ms - BETWEEN_LINKS_MS)}"
        )
        when = f"((StartTime <= {came} AND CloseTime >= {came}) OR ({linked}))"
        page, following = await self._in_scope(when, incident.scope, after, rows)
        return sorted({execution.workflow_id for execution in page}), following

    async def tell(self, run_id: str, order: IncidentOrder) -> None:
        """Sends a run an order; does nothing where it has closed.

        Raises:
            HistoryError: the engine did not take it.
        """
        try:
            # By the workflow id alone: a run that continues as new meanwhile gets it in its next link.
            # Plain, because the run may be of a fleet with other keys.
            handle = unencrypted(self._client).get_workflow_handle(run_id)
            await handle.signal(names.INCIDENT, plain(order), rpc_timeout=_PATIENCE)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise HistoryError(f"the engine did not take it: {error.message}") from error

    async def report(self, run_id: str, incident: Incident) -> RunReport:
        """Returns what became of a run.

        Raises:
            HistoryError: the engine could not be asked.
        """
        try:
            execution = await described(self._client, run_id)
            if execution.open:
                return await self._of_open(execution, incident)
            return await self._of_closed(execution, incident)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return RunReport(run_id=run_id, outcome="already_done", detail="the engine keeps it no more")
            raise HistoryError(f"the engine could not be asked: {error.message}") from error

    async def order(self, given: PlaneInput) -> None:
        """Sends the control plane an order; one that it refuses changes nothing.

        Raises:
            HistoryError: it did not answer.
        """
        handle: Any = unencrypted(self._client).get_workflow_handle(names.CONTROL_ID)
        update, order = (names.LIFT, given.lift) if given.lift is not None else (names.TRIP, given.trip)
        if order is None:
            return
        try:
            await handle.execute_update(update, plain(order), rpc_timeout=_PATIENCE)
        except NO_ANSWER as error:
            if isinstance(error, RPCError | TimeoutError):
                raise HistoryError("the control plane did not answer") from error

    async def _in_scope(self, when: str, scope: Scope, after: bytes, rows: int) -> tuple[list[Execution], bytes]:
        """Returns some of the runs in scope that a clause of the engine's query language is true of."""
        clauses = [f"WorkflowType = {json.dumps(names.AGENT_RUN)}", when]
        attribute = _ATTRIBUTES.get(scope.kind)
        if attribute is not None and scope.name.isprintable():
            # A run writes it in its first task, and one without search attributes never does.
            wanted = json.dumps(scope.name, ensure_ascii=False)
            clauses.append(f"({attribute} = {wanted} OR {attribute} IS NULL)")
        try:
            try:
                return await self._listed(" AND ".join(clauses), scope, after, rows)
            except RPCError as error:
                if error.status is not RPCStatusCode.INVALID_ARGUMENT:
                    raise
                # The server knows no such attribute.
                return await self._listed(" AND ".join(clauses[:2]), scope, after, rows)
        except RPCError as error:
            raise HistoryError(f"the engine could not be asked: {error.message}") from error

    async def _listed(self, query: str, scope: Scope, after: bytes, rows: int) -> tuple[list[Execution], bytes]:
        page, following = await listed_page(self._client, query, after, rows)
        return [one for one in page if await self._covered(one, scope)], following

    async def _covered(self, execution: Execution, scope: Scope) -> bool:
        """Tells whether a run lies in scope: by what it shows, or, before it shows anything, by what it was asked."""
        attribute = _ATTRIBUTES.get(scope.kind)
        if attribute is None:
            return True
        shown = execution.attributes.get(SearchAttributeKey.for_keyword(attribute))
        if shown is not None:
            return shown == scope.name
        request = await self._request(execution)
        if request is None:
            return True  # nobody can tell, and a run outside of the scope does nothing
        return scope.covers(Subject(execution.workflow_id, request.agent, request.tenant))

    async def _request(self, execution: Execution) -> RunRequest | None:
        handle: Any = self._client.get_workflow_handle(execution.workflow_id, run_id=execution.run_id)
        async for event in handle.fetch_history_events(page_size=1):
            payloads = event.workflow_execution_started_event_attributes.input.payloads
            try:
                values: list[Any] = await self._client.data_converter.decode(payloads)
            except CodecError:
                return None
            request = recorded_start(values[0]) if len(values) == 1 else None
            return None if isinstance(request, list) else request
        return None

    async def _of_open(self, execution: Execution, incident: Incident) -> RunReport:
        held = await _held(execution)
        if held is not None and incident.id in held.incidents:
            return RunReport(run_id=execution.workflow_id, outcome="frozen", in_flight=held.in_flight, usd=held.usd)
        under_way = ", ".join(sorted({one.activity_type.name for one in execution.pending}))
        why = f"it is {execution.state}" if execution.held_back else "it has not obeyed yet"
        detail = f"{why}; under way: {under_way}" if under_way else f"{why}; perhaps no worker serves it"
        return RunReport(run_id=execution.workflow_id, outcome="could_not_stop", detail=detail)

    async def _of_closed(self, execution: Execution, incident: Incident) -> RunReport:
        try:
            result = await self._result(execution)
        except (NoResultError, CodecError, ValidationError) as error:
            detail = f"it ended as {execution.state}, without a result: {error}"[:300]
            return RunReport(run_id=execution.workflow_id, outcome="already_done", detail=detail, failed=True)
        except InvalidInputError:
            return RunReport(run_id=execution.workflow_id, outcome="already_done", detail="it was not admitted")
        calls = [CallInFlight(call_id=one.call_id, tool=one.tool, outcome=one.outcome) for one in result.in_flight]
        unknown = [one for one in calls if one.outcome == "unknown"]
        stopped = result.stop_reason == StopReason.INCIDENT_STOP
        detail = result.stop_reason if result.stop_detail is None else f"{result.stop_reason}: {result.stop_detail}"
        if unknown:
            words = ", ".join(f"{one.tool} ({one.call_id})" for one in unknown)
            detail = f"nobody can tell whether these happened: {words}"
        return RunReport(
            run_id=execution.workflow_id,
            outcome="effect_unknown" if unknown else "stopped" if stopped else "already_done",
            detail=detail,
            in_flight=calls,
            usd=result.spent.usd,
            failed=result.stop_reason in _FAILURES,
        )

    async def _result(self, execution: Execution) -> RunResult:
        handle: Any = self._client.get_workflow_handle(execution.workflow_id, run_id=execution.run_id)
        try:
            return RunResult.model_validate(await handle.result(follow_runs=False, rpc_timeout=_PATIENCE))
        except WorkflowFailureError as error:
            return result_of_failure(execution.workflow_id, error)


def _quoted(at_ms: int) -> str:
    """Returns a moment in the engine's query language."""
    return json.dumps(datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat())


async def _held(execution: Execution) -> Held | None:
    """Returns what a run shows while incidents hold it; what a start put there is nobody's word."""
    try:
        shown = Held.model_validate(await execution.memo_value(STANDING_KEY))
    except (ValidationError, CodecError):
        return None
    return shown if shown.by == execution.run_id else None
