"""The answers to a run's queries."""

from typing import Annotated, Any, Literal

from pydantic import Field

from .approval import PendingApproval
from .budget import BudgetLimits, Spent
from .problems import Contract

State = Literal["queued", "running", "waiting_approval", "paused", "stopping", "closed"]


class RunStatusView(Contract):
    """The answer of the query `status`."""

    state: State
    step: int
    agent_version: str | None
    spent: Spent
    held: Spent
    budget: BudgetLimits
    pending_approvals: list[PendingApproval] = Field(default_factory=list[PendingApproval])
    stop_reason: str | None


class PageRequest(Contract):
    """Which part of `transcript` or `audit`: items after number `after` (they count from 1), at most `limit`."""

    after: Annotated[int, Field(ge=0, strict=True)] = 0
    limit: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 1_000


class Page(Contract):
    """A part of a list; `next` is the `after` of the following part, None at the end."""

    items: list[dict[str, Any]]
    first: int
    next: int | None


class TranscriptItem(Contract):
    """One item of the conversation, in the order in which the model reads it."""

    n: int = 0
    step: int = 0
    kind: Literal["goal", "decision", "result", "note"]
    text: str | None = None
    call_id: str | None = None
    tool: str | None = None
    calls: list[dict[str, str]] | None = None
    status: str | None = None


PAGE_BYTES = 1_000_000


def page(items: list[dict[str, Any]], sizes: list[int], request: PageRequest) -> Page:
    """Returns the requested part, at most 1 MB; `sizes` are the items' sizes in bytes."""
    chosen: list[dict[str, Any]] = []
    room = PAGE_BYTES
    at = request.after
    while at < len(items) and len(chosen) < request.limit and (sizes[at] <= room or not chosen):
        chosen.append(items[at])
        room -= sizes[at]
        at += 1
    return Page(items=chosen, first=request.after + 1, next=at if at < len(items) else None)
