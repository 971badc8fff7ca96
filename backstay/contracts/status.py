"""The answers to a run's queries."""

from typing import Annotated, Any, Literal

from pydantic import Field

from .approval import PendingApproval
from .budget import LimitsInForce, Spent
from .deeds import Deed, RefusedMessage
from .exposure import Sums
from .problems import Contract
from .proof import Stance

State = Literal["queued", "running", "waiting_approval", "waiting_input", "paused", "stopping", "closed"]


def _is_empty(value: object) -> bool:
    return not value


class ChildView(Contract):
    """A child run of a run, as its parent knows it.

    Attributes:
        run_id: the child's workflow id; null while its budget is held and it has not begun.
        call_id: the call that asked for it.
        agent: the agent's name.
        state: `held`, `running` or `waiting_approval`; once it has ended `completed`, `stopped`, `failed`, `refused` or
            `unknown`.
        stop_reason: why it ended.
        usd: what it spent, once it has ended, in US dollars, as text.
        exposure: what counts or is held of each meter for it, as text; left out where that is nothing.
    """

    run_id: str | None
    call_id: str
    agent: str
    state: str
    stop_reason: str | None
    usd: str
    exposure: Annotated[dict[str, str], Field(exclude_if=_is_empty)] = Field(default_factory=dict[str, str])


class ConversationView(Contract):
    """The conversation of a run that its agent keeps open.

    Attributes:
        turn: the number of the turn, from 1.
        answer: the answer of the last turn that has one.
        open_until: until when more may be said, RFC 3339 in UTC; null while the turn has no answer.
        unread: how many messages wait to be read.
        closed: whether no more words are taken.
        group: the group that may speak beside who asked for the run.
    """

    turn: int
    answer: str | None
    open_until: str | None
    unread: int
    closed: bool
    group: str | None


class RunStatusView(Contract):
    """The answer of the query `status`.

    Attributes:
        state: what the run does now.
        step: the step that it is in.
        agent_version: a digest of the agent's folder, once the run was admitted.
        spent: everything that was spent.
        held: what is reserved for work under way, and for a last answer.
        held_back: the part of `held` that is kept for a last answer, which nobody has asked for yet.
        budget: the limits in force.
        exposure: the sum of each meter: what happened, may have happened, or is held for calls under way.
        pending_approvals: the open approvals.
        trouble: what keeps the run from going on.
        proofs: what the run does with a proof in a message.
        stop_reason: why the run ended, once it has.
        stop_explained: why a budget ended the run, in figures.
        people: who did what, the latest fifty.
        refused: the messages that were refused, the latest fifty.
        parent: the run that this one is a child of; left out where it is none.
        children: the child runs; left out where there are none.
        conversation: the turns with people; left out where the agent does not keep its runs open.
        link: the number of the link of the run's chain that it is in, from 1.
    """

    state: State
    step: int
    agent_version: str | None
    spent: Spent
    held: Spent
    held_back: Spent | None = None
    budget: LimitsInForce
    exposure: Sums = Field(default_factory=dict[str, Any])
    pending_approvals: list[PendingApproval] = Field(default_factory=list[PendingApproval])
    trouble: str | None = None
    proofs: Stance = "unverifiable"
    stop_reason: str | None
    stop_explained: str | None = None
    people: list[Deed] = Field(default_factory=list[Deed])
    refused: list[RefusedMessage] = Field(default_factory=list[RefusedMessage])
    parent: Annotated[str | None, Field(exclude_if=_is_empty)] = None
    children: Annotated[list[ChildView], Field(exclude_if=_is_empty)] = Field(default_factory=list[ChildView])
    conversation: Annotated[ConversationView | None, Field(exclude_if=_is_empty)] = None
    link: int = 1


class PageRequest(Contract):
    """Asks for a part of `transcript` or `audit`: items after number `after` (they count from 1), at most `limit`.

    Attributes:
        after: the number of the last item that is not wanted.
        limit: the most items to return.
    """

    after: Annotated[int, Field(ge=0, strict=True)] = 0
    limit: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 1_000


class Page(Contract):
    """A part of a list; `next` is the `after` of the following part, None at the end.

    Attributes:
        items: the items.
        first: the number of the first item.
        next: the `after` of the following part; null at the end.
    """

    items: list[dict[str, Any]]
    first: int
    next: int | None


class TranscriptItem(Contract):
    """One item of the conversation, in the order in which the model reads it; `model` is the one that decided.

    Attributes:
        n: the item's number, from 1.
        step: the step that it belongs to.
        kind: who spoke: the goal, the model, a tool's result, a note of the runtime, or a person in the conversation;
            `compacted` is what the model reads from here on in place of older items.
        text: the text.
        call_id: the call that a result belongs to.
        tool: the called tool.
        calls: the calls of a decision.
        status: how a call ended.
        model: the model that decided.
        grant: the standing grant that let a call through, in words.
        by: the person who said it; left out where none did.
    """

    n: int = 0
    step: int = 0
    kind: Literal["goal", "decision", "result", "note", "compacted", "said"]
    text: str | None = None
    call_id: str | None = None
    tool: str | None = None
    calls: list[dict[str, str]] | None = None
    status: str | None = None
    model: str | None = None
    grant: str | None = None
    by: Annotated[str | None, Field(exclude_if=_is_empty)] = None


PAGE_BYTES = 1_000_000


def page(items: list[dict[str, Any]], sizes: list[int], request: PageRequest, before: int = 0) -> Page:
    """Returns the requested part, at most 1 MB; what lies before the items here is left out.

    Args:
        items: the items.
        sizes: their sizes in bytes.
        request: the part.
        before: the number of the last item that is not here.
    """
    chosen: list[dict[str, Any]] = []
    room = PAGE_BYTES
    begin = at = max(0, request.after - before)
    while at < len(items) and len(chosen) < request.limit and (sizes[at] <= room or not chosen):
        chosen.append(items[at])
        room -= sizes[at]
        at += 1
    return Page(items=chosen, first=before + begin + 1, next=before + at if at < len(items) else None)
