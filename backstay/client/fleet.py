"""Lists many runs from Temporal's index; it asks no run and needs no worker."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter, ValidationError
from temporalio.client import Client, WorkflowExecution
from temporalio.common import SearchAttributeKey

from backstay.contracts import names
from backstay.contracts.approval import MEMO_KEY, PendingApproval
from backstay.errors import ConfigurationError

_AGENT = SearchAttributeKey.for_keyword("BackstayAgent")
_TENANT = SearchAttributeKey.for_keyword("BackstayTenant")
_STATE = SearchAttributeKey.for_keyword("BackstayState")
_STOP_REASON = SearchAttributeKey.for_keyword("BackstayStopReason")
_PENDING = SearchAttributeKey.for_int("BackstayPendingApprovals")
_USD = SearchAttributeKey.for_float("BackstayUsd")
_APPROVALS: TypeAdapter[list[PendingApproval]] = TypeAdapter(list[PendingApproval])


@dataclass(frozen=True, slots=True)
class RunFilter:
    """A choice of runs; None chooses all."""

    state: str | None = None
    agent: str | None = None
    tenant: str | None = None
    stop_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One run in Temporal's index; a field that the run never wrote is None."""

    run_id: str
    execution: str
    state: str | None
    agent: str | None
    tenant: str | None
    stop_reason: str | None
    pending_approvals: int
    usd: float | None
    started_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """An open approval and the run that waits for it."""

    run_id: str
    agent: str | None
    tenant: str | None
    approval: PendingApproval


async def runs(client: Client, wanted: RunFilter, limit: int | None = None) -> AsyncGenerator[Listed]:
    """Yields the wanted runs, the latest first.

    Raises:
        ConfigurationError: a filter holds a quotation mark or a backslash.
    """
    filters = {
        "BackstayState": wanted.state,
        "BackstayAgent": wanted.agent,
        "BackstayTenant": wanted.tenant,
        "BackstayStopReason": wanted.stop_reason,
    }
    clauses = [f'WorkflowType = "{names.AGENT_RUN}"']
    clauses += [f'{name} = "{_plain(value)}"' for name, value in filters.items() if value is not None]
    async for found in client.list_workflows(" AND ".join(clauses), limit=limit):
        yield _listed(found)


async def waiting_approvals(client: Client) -> list[Waiting]:
    """Lists the open approvals of all open runs, the first to expire first.

    They stand in the memos of the index, so that thousands take few requests.
    """
    query = f'WorkflowType = "{names.AGENT_RUN}" AND ExecutionStatus = "Running" AND BackstayPendingApprovals > 0'
    found: list[Waiting] = []
    async for run in client.list_workflows(query, page_size=1_000):
        attributes = run.typed_search_attributes
        for approval in await _approvals(run):
            found.append(Waiting(run.id, attributes.get(_AGENT), attributes.get(_TENANT), approval))
    return sorted(found, key=lambda waiting: waiting.approval.expires_at)


async def _approvals(run: WorkflowExecution) -> list[PendingApproval]:
    try:
        return _APPROVALS.validate_python((await run.memo()).get(MEMO_KEY) or [])
    except ValidationError:
        return []


def _listed(found: WorkflowExecution) -> Listed:
    attributes = found.typed_search_attributes
    return Listed(
        run_id=found.id,
        execution=found.status.name.lower() if found.status else "running",
        state=attributes.get(_STATE),
        agent=attributes.get(_AGENT),
        tenant=attributes.get(_TENANT),
        stop_reason=attributes.get(_STOP_REASON),
        pending_approvals=attributes.get(_PENDING) or 0,
        usd=attributes.get(_USD),
        started_at=found.start_time,
        closed_at=found.close_time,
    )


def _plain(value: str) -> str:
    if '"' in value or "\\" in value:
        raise ConfigurationError("a filter holds a quotation mark or a backslash", mend="leave it out")
    return value
