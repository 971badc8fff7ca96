"""The one value that a run takes from a link of its chain into the next."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, cast

from pydantic import Field

from backstay.kernel.audit import AuditHead
from backstay.kernel.events import BudgetShort
from backstay.kernel.run_state import RunState

from .admission import Admission
from .carried_call import CarriedAsking, CarriedCall, Count
from .decision import Compaction, Heard, Observation, ProposedCall
from .deeds import Deed, RefusedMessage
from .delegate import handed_request, named_parent, read_start
from .ledger import LedgerRef
from .messages import Answer
from .problems import Contract, Problem, read_only
from .run import RunRequest, plain

MOST_BYTES = 1_500_000
"""The most that a run may take along: the engine takes 2 MB as the input of an execution."""


class CarriedNews(Contract):
    """The news for the next decision; `size` bounds its tokens from above, by bytes, `results` those of results."""

    observations: list[Observation] = Field(default_factory=list[Observation])
    notes: list[str] = Field(default_factory=list[str])
    heard: list[Heard] = Field(default_factory=list[Heard])
    size: Count = 0
    results: Count = 0
    texts: list[Count] = Field(default_factory=list[int])
    counted: Count = 0
    shown: Count | None = None
    compaction: Compaction | None = None


class CarriedContext(Contract):
    """The conversation as far as compacting it needs to know, as `Context` of a run has it."""

    turns: list[Count] = Field(default_factory=list[int])
    compactions: Count = 0
    wait_for: Count = 0


class CarriedApprovals(Contract):
    """The calls that approvals are about, and the answers that nobody has read yet, by the approval's id.

    `opened` counts how often each call, and each question for more budget, was put to people: the next approval gets
    another id. Of those that `reminded` lists people were told that they expire soon.
    """

    calls: dict[str, ProposedCall] = Field(default_factory=dict[str, ProposedCall])
    answers: dict[str, Answer] = Field(default_factory=dict[str, Answer])
    opened: dict[str, Count] = Field(default_factory=dict[str, Count])
    reminded: list[str] = Field(default_factory=list[str])


class CarriedProofs(Contract):
    """The proofs that were sent: those used, those that did not hold by person, and the people heard of."""

    used: list[str] = Field(default_factory=list[str])
    doubts: dict[str, Count] = Field(default_factory=dict[str, Count])
    heard: list[str] = Field(default_factory=list[str])


class CarriedReports(Contract):
    """What breakers are told at the end of a run: codes of refused calls, and the last call that failed.

    `costs` are those of calls that have ended, until their results are told.
    """

    codes: dict[str, str] = Field(default_factory=dict[str, str])
    costs: dict[str, Count] = Field(default_factory=dict[str, int])
    last_failure: str = ""


class CarriedArchive(Contract):
    """How much of the evidence the archive has: up to a record, and so many items of the transcript."""

    kept: AuditHead = AuditHead()
    items: Count = 0


class Carried(Contract):
    """A run between two links of its chain, while no activity of it is under way.

    Attributes:
        state: everything the kernel decides by, open approvals and holds included.
        audit: how far the audit chain has come.
        calls: those of the decision in progress; empty between two decisions.
        items: how many items the transcript has so far.
        last_decision: digest of the last recorded decision.
        context: what compacting the conversation needs to know.
        started_ms: when the first link began, in milliseconds since the epoch.
        waited_ms: how long the run has waited for people, where that does not use up its seconds.
        waited_since_ms: since when it waits for people without a break; None while it does not.
        deadline_ms: when its seconds are over, where waiting uses them up too.
        frozen_ms: how long incidents have held the run, which uses up no seconds.
        frozen_since_ms: since when incidents hold it without a break; None while none does.
        queued_ms: how long the run has waited for its turn, which uses up no seconds.
        ledgers: those that are to know when the run ends.
        draws: how often the run has drawn.
        labels: the labels of what child runs have read.
        link: the number of the link that goes on, the first one is 1.
        decided: the step of the last recorded decision.
        begun_ms: when the engine took the run, in milliseconds since the epoch.
        people: the latest deeds of people.
        refused: the latest refused messages.
        proofs: the proofs that were sent.
        happened: holds of ledgers whose calls have happened since they were last asked.
        paused_by_parent: whether the run above holds this one.
        reports: what breakers are told at the end.
        archive: how much of the evidence is kept.
        asking: the decision that stands still before its calls are judged; None where none does.
        dry: the limit over many runs that has no room for what calls of the decision in progress may cost.
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
    context: CarriedContext = CarriedContext()
    frozen_since_ms: Count | None = None
    link: Annotated[int, Field(ge=2, strict=True)] = 2
    decided: Count = 0
    begun_ms: Count = 0
    people: list[Deed] = Field(default_factory=list[Deed])
    refused: list[RefusedMessage] = Field(default_factory=list[RefusedMessage])
    proofs: CarriedProofs = CarriedProofs()
    happened: list[str] = Field(default_factory=list[str])
    paused_by_parent: bool = False
    reports: CarriedReports = CarriedReports()
    archive: CarriedArchive = CarriedArchive()
    waited_since_ms: Count | None = None
    deadline_ms: Count | None = None
    dry: BudgetShort | None = None
    asking: CarriedAsking | None = None

    def handed_on(self, request: RunRequest) -> dict[str, Any] | None:
        """Returns the input of the next link; None where the engine would not take it."""
        given = {"request": plain(request), "carried": self.model_dump(mode="json")}
        return given if len(json.dumps(given)) <= MOST_BYTES else None


@dataclass(frozen=True, slots=True)
class Start:
    """The start of a link: who asks for what, and what the link before hands on; None in the first one."""

    request: RunRequest
    carried: Carried | None = None


def read_link(args: tuple[Any, ...], parent: str | None, *, continued: bool) -> Start | list[Problem]:
    """Reads the arguments of a link; anything but one fitting object is a list of problems.

    Args:
        args: the arguments.
        parent: the workflow that the engine names as the parent; None where it names none.
        continued: whether the engine says that an earlier link started this one. Only then is anything taken that a
            link hands on.
    """
    asked = handed_request(args[0]) if len(args) == 1 and continued else None
    if asked is None or asked is args[0]:
        request = read_start(args, parent)
        return request if isinstance(request, list) else Start(request)
    request = read_start((asked,), parent)
    carried = read_only(Carried, (cast("dict[str, object]", args[0])["carried"],), "inputs")
    if isinstance(request, list) or isinstance(carried, list):
        return request if isinstance(request, list) else cast("list[Problem]", carried)
    return Start(request, carried)


def recorded_link(given: object, *, continued: bool) -> Start | list[Problem]:
    """Reads the input of a link that was admitted, as its history has it."""
    return read_link((given,), named_parent(handed_request(given)), continued=continued)
