"""The one value that a run takes from a link of its chain into the next."""

from typing import Annotated

from pydantic import Field

from backstay.kernel.audit import AuditHead
from backstay.kernel.run_state import RunState

from .admission import Admission
from .decision import Observation, ProposedCall
from .messages import Answer
from .problems import Contract

Count = Annotated[int, Field(ge=0, strict=True)]


class CarriedNews(Contract):
    """The news for the next decision; `size` bounds its tokens from above, by bytes."""

    observations: list[Observation] = Field(default_factory=list[Observation])
    notes: list[str] = Field(default_factory=list[str])
    size: Count = 0


class CarriedApprovals(Contract):
    """The calls that approvals are about, and the answers that nobody has read yet, by the approval's id."""

    calls: dict[str, ProposedCall] = Field(default_factory=dict[str, ProposedCall])
    answers: dict[str, Answer] = Field(default_factory=dict[str, Answer])


class Carried(Contract):
    """A run between two links of its chain, while no activity of it is under way.

    Attributes:
        state: everything the kernel decides by, open approvals and holds included.
        audit: how far the audit chain has come.
        items: how many items the transcript has so far.
        last_decision: digest of the last recorded decision.
        started_ms: when the first link began, in milliseconds since the epoch.
        waited_ms: how long the run has waited for people, where that does not use up its seconds.
    """

    admission: Admission
    state: RunState
    audit: AuditHead
    items: Count
    news: CarriedNews
    approvals: CarriedApprovals
    last_decision: str | None
    started_ms: Count
    waited_ms: Count
