"""The one value that a run takes from a link of its chain into the next."""

from typing import Annotated

from pydantic import Field

from backstay.kernel.audit import AuditHead
from backstay.kernel.run_state import RunState

from .admission import Admission
from .decision import Heard, Observation, ProposedCall
from .ledger import LedgerRef
from .messages import Answer
from .metering import Metered
from .problems import Contract

Count = Annotated[int, Field(ge=0, strict=True)]


class CarriedNews(Contract):
    """The news for the next decision; `size` bounds its tokens from above, by bytes, `results` those of results."""

    observations: list[Observation] = Field(default_factory=list[Observation])
    notes: list[str] = Field(default_factory=list[str])
    heard: list[Heard] = Field(default_factory=list[Heard])
    size: Count = 0
    results: Count = 0


class CarriedApprovals(Contract):
    """The calls that approvals are about, and the answers that nobody has read yet, by the approval's id."""

    calls: dict[str, ProposedCall] = Field(default_factory=dict[str, ProposedCall])
    answers: dict[str, Answer] = Field(default_factory=dict[str, Answer])


class CarriedCall(Contract):
    """A call of the decision in progress, in the order asked: ended, or waiting for people.

    Attributes:
        call: the call, with a person's arguments where it was edited.
        held_usd: micro-dollars that are held for it.
        metered: what ledgers hold of it, or told of it where they hold nothing.
        revision: how often ledgers were asked to hold it.
        approval_id: the approval it waits for; None once it has ended.
        editors: the people who changed its arguments; their yes never counts.
        status: how it ended; None while it waits.
        text: what the model reads of its end.
        recorded: whether the text stands in a history as the result of an activity.
    """

    call: ProposedCall
    held_usd: Count = 0
    metered: Metered | None = None
    revision: Count = 0
    approval_id: str | None = None
    editors: list[str] = Field(default_factory=list[str])
    status: str | None = None
    text: str = ""
    recorded: bool = False


class Carried(Contract):
    """A run between two links of its chain, while no activity of it is under way.

    Attributes:
        state: everything the kernel decides by, open approvals and holds included.
        audit: how far the audit chain has come.
        calls: those of the decision in progress; empty between two decisions.
        items: how many items the transcript has so far.
        last_decision: digest of the last recorded decision.
        started_ms: when the first link began, in milliseconds since the epoch.
        waited_ms: how long the run has waited for people, where that does not use up its seconds.
        frozen_ms: how long incidents have held the run, which uses up no seconds.
        queued_ms: how long the run has waited for its turn, which uses up no seconds.
        ledgers: those that are to know when the run ends.
        draws: how often the run has drawn.
        labels: the labels of what child runs have read.
    """

    admission: Admission
    state: RunState
    audit: AuditHead
    items: Count
    news: CarriedNews
    calls: list[CarriedCall]
    approvals: CarriedApprovals
    last_decision: str | None
    started_ms: Count
    waited_ms: Count
    frozen_ms: Count = 0
    queued_ms: Count = 0
    ledgers: list[LedgerRef] = Field(default_factory=list[LedgerRef])
    draws: Count = 0
    labels: list[str] = Field(default_factory=list[str])
