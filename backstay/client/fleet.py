"""Lists many runs from Temporal's index; it asks no run and needs no worker."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import TypeAdapter, ValidationError
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from backstay.adapters.engine.errors import in_our_words
from backstay.adapters.engine.executions import Execution, described, listed
from backstay.contracts import names
from backstay.contracts.approval import MEMO_KEY, WRITTEN_BY, PendingApproval
from backstay.contracts.status import RunStatusView
from backstay.errors import CodecError, RunNotFoundError
from backstay.kernel.money import MICRO, format_usd
from backstay.kernel.stop import StopReason

from .claim import Claim, claim_of
from .ending import REFUSED, ending_of
from .run_filter import CLOSED
from .run_filter import RunFilter as RunFilter

_AGENT = SearchAttributeKey.for_keyword("BackstayAgent")
_TENANT = SearchAttributeKey.for_keyword("BackstayTenant")
_STATE = SearchAttributeKey.for_keyword("BackstayState")
STOP_REASON = SearchAttributeKey.for_keyword("BackstayStopReason")
_PENDING = SearchAttributeKey.for_int("BackstayPendingApprovals")
_USD = SearchAttributeKey.for_float("BackstayUsd")
_AT_ONCE = 20
_APPROVALS: TypeAdapter[list[PendingApproval]] = TypeAdapter(list[PendingApproval])


@dataclass(frozen=True, slots=True)
class Listed:
    """One run as a list shows it; a field that nobody vouches for is None.

    Attributes:
        execution: the state as Temporal has it: see `Overview.state`.
        state: where the run stands: while it is open the run's own word, unless the engine holds it back; once it has
            closed `completed`, `stopped`, `failed`, `canceled`, `terminated` or `timed_out`.
        stop_reason: the stop reason, or how the engine ended the run: see `Ending`.
        stop_detail: more about it, such as why a start was refused.
        usd: decimal, up to now where the run was asked, else as it was last written.
        seconds: the run's own seconds, up to now where the run was asked; None where no one answered.
        claim: what a refused start asked for, where somebody looks for it.
    """

    run_id: str
    execution: str
    state: str
    agent: str | None
    tenant: str | None
    stop_reason: str | None
    stop_detail: str | None
    pending_approvals: int
    usd: str | None
    seconds: int | None
    started_at: datetime
    closed_at: datetime | None
    claim: Claim | None = None

    @property
    def refused(self) -> bool:
        """Tells whether the start was refused, so that nobody vouches for its agent."""
        return self.stop_reason == REFUSED

    @property
    def open(self) -> bool:
        """Tells whether the run has not closed."""
        return self.closed_at is None


Ask = Callable[[str], Awaitable[RunStatusView | None]]
"""Asks a run where it stands; None where no worker answers."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An open approval and the run that waits for it; `execution` is the run's state as Temporal has it."""

    run_id: str
    agent: str | None
    tenant: str | None
    approval: PendingApproval
    execution: str = "running"


async def runs(
    client: Client,
    wanted: RunFilter,
    limit: int | None = None,
    *,
    task_queue: str = names.TASK_QUEUE,
    ask: Ask | None = None,
) -> AsyncGenerator[Listed]:
    """Yields the wanted runs of a task queue, the latest first.

    Of a run that no worker has begun only Temporal's own facts are told: the rest is what its starter wrote.

    Args:
        client: the Temporal client.
        wanted: which runs.
        limit: yields at most this many.
        task_queue: where the runs are served.
        ask: asks open runs for what they have spent up to now; without it the index tells what they last wrote.

    Raises:
        ConfigurationError: a filter holds a quotation mark or a backslash.
        UnreachableError: Temporal does not answer.
    """
    left = limit if limit is not None else -1
    with in_our_words(client, ""):
        async for together in _together(client, wanted, task_queue):
            rows = await asyncio.gather(*(_row(client, one, ask, wanted.of_somebody) for one in together))
            for row in filter(wanted.chooses, rows):
                if left == 0:
                    return
                left -= 1
                yield row


async def _together(client: Client, wanted: RunFilter, task_queue: str) -> AsyncGenerator[list[Execution]]:
    """Yields what the index finds in parts, so that the runs of a part are looked at side by side."""
    together: list[Execution] = []
    async for found in listed(client, wanted.query(task_queue)):
        if not wanted.excludes(found, found.attributes.get(STOP_REASON)):
            together.append(found)
        if len(together) == _AT_ONCE:
            yield together
            together = []
    if together:
        yield together


async def other_queue(client: Client, task_queue: str) -> str | None:
    """Returns another task queue that runs were started on; empty where there is none, None where this one has runs.

    Raises:
        UnreachableError: Temporal does not answer.
    """
    with in_our_words(client, ""):
        async for _ in listed(client, RunFilter().query(task_queue), limit=1):
            return None
        async for run in listed(client, f'WorkflowType = "{names.AGENT_RUN}"', limit=1):
            return run.task_queue
    return ""


async def waiting_approvals(
    client: Client, trouble: Callable[[str], None] = lambda _: None, *, task_queue: str = names.TASK_QUEUE
) -> list[Waiting]:
    """Lists the open approvals of all open runs of a task queue, the first to expire first, children below parents.

    They stand in the memos of the index, so that thousands take few requests. A memo that the run itself did not write
    is no approval, and is not listed.

    Args:
        client: the Temporal client.
        trouble: is told, in one line each, about runs with approvals that cannot be read.
        task_queue: where the runs are served.
    """
    # Not by status: an execution that the server has paused is no longer `Running`, and waits all the same.
    query = f"{RunFilter().query(task_queue)} AND CloseTime IS NULL AND BackstayPendingApprovals > 0"
    found: list[Waiting] = []
    async for run in listed(client, query):
        agent, tenant = run.attributes.get(_AGENT), run.attributes.get(_TENANT)
        try:
            if not await _wrote_memo(client, run):
                continue
            approvals = _APPROVALS.validate_python(await run.memo_value(MEMO_KEY) or [])
        except (ValidationError, CodecError) as error:
            why = str(error) if isinstance(error, CodecError) else "its memo holds something else"
            trouble(f"the open approvals of `{run.workflow_id}` cannot be read: {why}")
            continue
        if (count := run.attributes.get(_PENDING) or 0) > len(approvals):
            trouble(f"`{run.workflow_id}` has {count} open approvals, and its memo lists {len(approvals)} of them")
        found += [Waiting(run.workflow_id, agent, tenant, approval, run.state) for approval in approvals]
    return by_family(found)


def by_family(found: Sequence[Waiting]) -> list[Waiting]:
    """Sorts approvals, the first to expire first; those of one family of runs stand together, under the parent's."""
    first: dict[str, str] = {}
    for one in found:
        family = one.approval.parent or one.run_id
        first[family] = min(first.get(family, one.approval.expires_at), one.approval.expires_at)

    def place(one: Waiting) -> tuple[str, str, bool, str]:
        family = one.approval.parent or one.run_id
        return first[family], family, one.approval.parent is not None, one.approval.expires_at

    return sorted(found, key=place)


async def _wrote_memo(client: Client, run: Execution) -> bool:
    """Tells whether the run's own workflow wrote its memo: a mark says so, else a first task, which clears others'."""
    return await run.memo_value(WRITTEN_BY) == run.run_id or await _begun(client, run)


async def _begun(client: Client, run: Execution) -> bool:
    try:
        return (await described(client, run.workflow_id, run.run_id)).begun
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise  # a list that leaves runs out because the server is busy would be believed
        return False


async def _row(client: Client, found: Execution, ask: Ask | None, claimed: bool) -> Listed:
    if not found.open:
        row = await _closed(client, found)
        return replace(row, claim=await claim_of(client, found)) if claimed and row.refused else row
    begun = await _begun(client, found)
    row = _known(found, found.attributes if begun else TypedSearchAttributes.empty, begun)
    status = await ask(found.workflow_id) if ask and begun and not found.held_back else None
    if status is None or status.state == CLOSED:
        return row
    pending = len(status.pending_approvals)
    spent = status.spent
    return replace(row, state=status.state, pending_approvals=pending, usd=spent.usd, seconds=spent.seconds)


def _known(found: Execution, attributes: TypedSearchAttributes, begun: bool) -> Listed:
    """Returns an open run as the index knows it."""
    own = (attributes.get(_STATE) or "running") if begun else "queued"
    usd = attributes.get(_USD)
    return Listed(
        run_id=found.workflow_id,
        execution=found.state,
        state=found.state if found.held_back else own,
        agent=attributes.get(_AGENT),
        tenant=attributes.get(_TENANT),
        stop_reason=attributes.get(STOP_REASON),
        stop_detail=None,
        pending_approvals=attributes.get(_PENDING) or 0,
        usd=None if usd is None else format_usd(round(usd * MICRO)),
        seconds=None,
        started_at=found.started_at,
        closed_at=found.closed_at,
    )


async def _closed(client: Client, found: Execution) -> Listed:
    """Returns a closed run by its result; one that left none by the engine's word, whatever the run wrote before."""
    try:
        ending = await ending_of(client, found)
    except (CodecError, RunNotFoundError):
        ending = None
    if ending and (result := ending.result):
        row = _known(found, TypedSearchAttributes.empty, True)
        own = {"agent": result.agent, "tenant": result.tenant, "usd": result.spent.usd, "seconds": result.spent.seconds}
        return replace(row, state=ending.state, stop_reason=ending.reason, stop_detail=ending.detail, **own)
    begun = await _begun(client, found)
    # A refused run has begun, and wrote nothing over the attributes that its starter gave it.
    own = begun and not (ending and ending.reason == REFUSED)
    row = _known(found, found.attributes if own else TypedSearchAttributes.empty, begun)
    if ending is None:
        stopped = found.state == "completed" and row.stop_reason not in (None, StopReason.COMPLETED)
        return replace(row, state="stopped" if stopped else found.state, pending_approvals=0)
    over = {"state": ending.state, "stop_reason": ending.reason, "stop_detail": ending.detail}
    return replace(row, pending_approvals=0, **over)
