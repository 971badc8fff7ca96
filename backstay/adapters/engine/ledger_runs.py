"""Finds out from Temporal what runs hold of a ledger and what they have spent, without asking the ledger."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowFailureError, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from backstay.contracts import names
from backstay.contracts.budget import Spent
from backstay.contracts.exposure import Sums
from backstay.contracts.history import RunRef
from backstay.contracts.ledger import EnqueueResult, LedgerRef, Releasing, Reserved, ReserveResult
from backstay.contracts.metering import MeterResult
from backstay.contracts.problems import Contract
from backstay.contracts.run import RunResult
from backstay.contracts.status import RunStatusView
from backstay.errors import CodecError, HistoryError, InvalidInputError, NoResultError
from backstay.kernel.keys import is_child_id, ledger_id, run_key
from backstay.kernel.ledger import MOST_HOLDS, Hold, Holder
from backstay.kernel.ledger_queue import AtWork
from backstay.kernel.ledger_sums import Amounts, quantity_of
from backstay.kernel.meter import read_sum
from backstay.kernel.money import parse_usd

from .errors import result_of_failure
from .executions import CONTINUED, Execution, described, listed
from .links import continues

_PATIENCE = timedelta(seconds=5)
_LAG_SECONDS = 5.0
_AGENT = SearchAttributeKey.for_keyword("BackstayAgent")
_TENANT = SearchAttributeKey.for_keyword("BackstayTenant")
_STATE = SearchAttributeKey.for_keyword("BackstayState")

_Holding = ReserveResult | MeterResult | EnqueueResult


class LedgerRuns:
    """A reader of the runs that have drawn on ledgers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def kept_before(self, ledger: LedgerRef, own: RunRef) -> bool:
        """Tells whether there was an earlier ledger of the same id, so that this one begins with its books lost.

        Raises:
            HistoryError: the engine could not be asked, or its list does not show this ledger yet, and may lack others.
        """
        query = f"WorkflowId = {json.dumps(ledger_id(ledger.tenant))}"
        loop = asyncio.get_running_loop()
        until = loop.time() + _LAG_SECONDS
        try:
            while loop.time() < until:
                found = {one.run_id async for one in listed(self._client, query)}
                if own.run_id in found:
                    return len(found) > 1
                await asyncio.sleep(0.05)
        except RPCError as error:
            raise HistoryError(f"the engine could not be asked: {error.message}") from error
        raise HistoryError("the engine's list of ledgers lags behind: it does not show this one")

    async def spent(self, holder: Holder) -> Amounts | None:
        """Returns what a closed run has spent; None while it is open, or where nobody can tell.

        A reset continues a run, so what counts is the latest execution of the same run. The run's own result tells, and
        where it has none, as after it was terminated, its state at the end: what it held then may have been spent, but
        for what it held back for a last answer.

        Raises:
            HistoryError: the engine could not be asked.
        """
        try:
            execution = await self._latest(holder)
            if execution is None or execution.open:
                return None
            return await self._spent(execution, holder.agent_only)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None  # the engine has forgotten it: it stays held, and is shown
            raise HistoryError(f"the engine could not be asked: {error.message}") from error

    async def drawn(self, ledger: LedgerRef, since_ms: int) -> AsyncGenerator[tuple[Sequence[Hold], Amounts | None]]:
        """Yields for each run what it holds in a ledger, over all its links, and what it spent once it has closed.

        Args:
            ledger: the ledger.
            since_ms: leaves out runs that closed earlier, in milliseconds since the epoch.

        Raises:
            HistoryError: the engine could not be asked.
        """
        since = datetime.fromtimestamp(since_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
        query = f"WorkflowType = {json.dumps(names.AGENT_RUN)} AND (CloseTime IS NULL OR CloseTime >= '{since}')"
        try:
            async for execution in self._ends_of_chains(query):
                holds = await self._holds(ledger, execution)
                if holds:
                    yield holds, await self.spent(holds[0].holder)
        except RPCError as error:
            raise HistoryError(f"the engine could not be asked: {error.message}") from error

    async def _ends_of_chains(self, query: str) -> AsyncGenerator[Execution]:
        """Yields of each run the last link, which need not be in the engine's list yet."""
        continued, known = set[str](), set[str]()
        async for execution in listed(self._client, query):
            (continued if execution.state == CONTINUED else known).add(execution.workflow_id)
            if execution.state != CONTINUED:
                yield execution
        for workflow_id in sorted(continued - known):
            yield await described(self._client, workflow_id)

    async def over(self, holder: Holder) -> bool:
        """Tells whether a run has closed; one that the engine has forgotten has.

        Raises:
            HistoryError: the engine could not be asked.
        """
        try:
            latest = await self._latest(holder)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return True
            raise HistoryError(f"the engine could not be asked: {error.message}") from error
        return latest is not None and not latest.open

    async def at_work(self, ledger: LedgerRef) -> AtWork:
        """Returns the open runs that a ledger is for, as the engine's list shows them; it may lag behind.

        A run below another one is a part of that one, and is none of those at once.

        Raises:
            HistoryError: the engine could not be asked.
        """
        running: list[Holder] = []
        queued: list[str] = []
        clauses = [f"WorkflowType = {json.dumps(names.AGENT_RUN)}", "CloseTime IS NULL", f"{_STATE.name} IS NOT NULL"]
        if ledger.tenant is not None and ledger.tenant.isprintable():
            clauses.append(f"{_TENANT.name} = {json.dumps(ledger.tenant, ensure_ascii=False)}")
        try:
            async for one in listed(self._client, " AND ".join(clauses)):
                below = bool(one.parent) and is_child_id(one.workflow_id)
                if below or ledger.tenant not in (None, one.attributes.get(_TENANT)):
                    continue
                if one.attributes.get(_STATE) == "queued":
                    queued.append(one.workflow_id)
                elif len(running) < MOST_HOLDS:
                    running.append(await self._holder(one))
        except RPCError as error:
            # Where the server knows no such attributes, nobody can tell.
            if error.status is not RPCStatusCode.INVALID_ARGUMENT:
                raise HistoryError(f"the engine could not be asked: {error.message}") from error
        return AtWork(tuple(running), tuple(queued))

    async def _holder(self, listed: Execution) -> Holder:
        one = await described(self._client, listed.workflow_id, listed.run_id)
        key = run_key(self._client.namespace, one.workflow_id, one.first_run_id)
        return Holder(key, one.workflow_id, one.run_id, one.attributes.get(_AGENT) or "")

    async def _latest(self, holder: Holder) -> Execution | None:
        """Returns the execution that ends a run: its own, or the one in which a reset or its next links continue it.

        The latest one is asked first, because the engine may have forgotten the link that the holder is of.
        """
        latest = await described(self._client, holder.workflow_id)
        key = run_key(self._client.namespace, latest.workflow_id, latest.first_run_id)
        return latest if key == holder.key else await described(self._client, holder.workflow_id, holder.run_id)

    async def _spent(self, execution: Execution, agent_only: bool) -> Amounts | None:
        handle: Any = self._client.get_workflow_handle(execution.workflow_id, run_id=execution.run_id)
        try:
            result = RunResult.model_validate(await handle.result(follow_runs=False, rpc_timeout=_PATIENCE))
            return _counted(result, agent_only)
        except WorkflowFailureError as error:
            try:
                return _counted(result_of_failure(execution.workflow_id, error), agent_only)
            except InvalidInputError:
                return {}
            except NoResultError:
                pass
        except ValidationError:
            pass
        except CodecError:
            return None
        return await self._left(handle, agent_only)

    async def _left(self, handle: Any, agent_only: bool) -> Amounts | None:
        """Asks a worker for the state in which a run ended without a result; None where none answers."""
        try:
            status = RunStatusView.model_validate(await handle.query(names.STATUS, rpc_timeout=_PATIENCE))
        except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError, ValidationError):
            return None
        spent, held = _amounts(status.spent), _amounts(status.held)
        unasked = _amounts(status.held_back) if status.held_back else {}
        drawn = {quantity: spent[quantity] + held[quantity] - unasked.get(quantity, 0) for quantity in spent}
        below = [child.exposure for child in status.children]
        return ({} if status.parent and not agent_only else drawn) | _exposed(status.exposure, below)

    async def _holds(self, ledger: LedgerRef, last: Execution) -> list[Hold]:
        """Reads from a run's histories what a ledger held for it; `last` is the last link of its chain."""
        found: dict[str, Hold] = {}
        link: str | None = last.run_id
        while link is not None:
            try:
                held, link = await self._held_in(ledger, last.workflow_id, link)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND or link == last.run_id:
                    raise
                break  # the engine has forgotten the links before
            found |= held
        return list(found.values())

    async def _held_in(self, ledger: LedgerRef, workflow_id: str, link: str) -> tuple[dict[str, Hold], str | None]:
        """Reads from a link's history what a ledger held for it, without what was given back, and the link before.

        A run goes on in another link only when its ledgers know what it gives back.
        """
        scheduled: dict[int, type[_Holding]] = {}
        found: dict[str, Hold] = {}
        before: str | None = None
        handle: Any = self._client.get_workflow_handle(workflow_id, run_id=link)
        async for event in handle.fetch_history_events(page_size=200):
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                before = continues(event.workflow_execution_started_event_attributes)
            elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                kind = _HOLDING.get(event.activity_task_scheduled_event_attributes.activity_type.name)
                if kind is not None:
                    scheduled[event.event_id] = kind
            elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                done = event.activity_task_completed_event_attributes
                if kind := scheduled.get(done.scheduled_event_id):
                    result: Any = await self._read(done.result.payloads, kind)
                    held = [one.hold for one in _reserved(result) if one.ledger == ledger]
                    found |= {hold.id: hold for hold in held}
            elif event.event_type == EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
                told = event.signal_external_workflow_execution_initiated_event_attributes
                if told.signal_name == names.RELEASED:
                    given_back: Any = await self._read(told.input.payloads, Releasing)
                    found = {name: hold for name, hold in found.items() if name not in given_back.holds}
        return found, before

    async def _read(self, payloads: Sequence[Any], kind: type[Contract]) -> object:
        values: list[Any] = await self._client.data_converter.decode(payloads, [kind])
        return values[0]


_HOLDING: dict[str, type[_Holding]] = {
    names.RESERVE: ReserveResult,
    names.METER: MeterResult,
    names.ENQUEUE: EnqueueResult,
}
"""The activities that make holds, and their results."""


def _reserved(result: _Holding) -> list[Reserved]:
    if isinstance(result, MeterResult):
        return [one for metered in result.calls.values() for one in metered.held]
    return result.held


def _counted(result: RunResult, agent_only: bool) -> dict[str, int]:
    below = [child.spent.exposure for child in result.children]
    # What a child spends its parent has drawn, and the child only where its own agent has limits.
    return ({} if result.parent and not agent_only else _amounts(result.spent)) | _exposed(result.exposure, below)


def _exposed(sums: Sums, below: Iterable[Mapping[str, str]]) -> dict[str, int]:
    """Returns what a run itself adds to meters; a ledger takes those of which it holds something.

    Args:
        sums: those of the run, its children included.
        below: what each child has added, which it tells itself.
    """
    own = {name: read_sum(by_period["run"]) for name, by_period in sums.items()}
    for child in below:
        for name, amount in child.items():
            own[name] = own.get(name, 0) - read_sum(amount)
    return {quantity_of(name): units for name, units in own.items()}


def _amounts(spent: Spent) -> dict[str, int]:
    return {"usd": parse_usd(spent.usd), "tokens": spent.input_tokens + spent.output_tokens}
