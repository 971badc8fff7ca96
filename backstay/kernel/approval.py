"""Approvals: a pending request to people, bound to one exact call, and who may answer it."""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from .grantable import Grantable
from .ledger_period import Period
from .ledger_sums import Counts
from .meter import Exposed
from .person import people_keys, person_key

_SPEC = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.@/-]{0,79})(?::([1-9][0-9]?))?", re.ASCII)


class ApprovalKind(StrEnum):
    """The kinds of an approval: what people are asked for."""

    ACTION = "action"
    OUTCOME_UNKNOWN = "outcome_unknown"
    QUESTION = "question"
    BUDGET = "budget"
    EXPOSURE = "exposure"

    @property
    def releases(self) -> bool:
        """True where a yes lets the run go on as it wants to."""
        return self in (ApprovalKind.ACTION, ApprovalKind.EXPOSURE, ApprovalKind.BUDGET)


class ApprovalEnd(StrEnum):
    """The ends of an approval."""

    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    EDITED = "edited"
    ANSWERED = "answered"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason not to count an answer: a stable code, and a sentence for the person."""

    code: str
    text: str


@dataclass(frozen=True, slots=True, order=True)
class Quorum:
    """A group, and the number of its people who must say yes: 1 to 99."""

    group: str
    count: int = 1

    @property
    def spec(self) -> str:
        """Its one spelling: `finance` for one person, `finance:2` for more."""
        return self.group if self.count == 1 else f"{self.group}:{self.count}"


@dataclass(frozen=True, slots=True)
class Approval:
    """One request. `groups` are specs such as `finance` or `finance:2`; `barred` people never count.

    `members` lists who is in each group; times are milliseconds since the epoch. `exposure` has the meters that the
    call adds to, as people are shown them, and `counted` the same over many runs, by period. `grantable` is what a yes
    may grant beyond this call; None where some rule that asks allows no standing grant. `sources` says where the values
    of the call come from, `copied` quotes what its texts copy, and `within` has the fields of values that stand in
    results with a label alone, by argument; all empty where no rule reads it.
    """

    approval_id: str
    kind: ApprovalKind
    call_id: str
    tool: str
    digest: str
    groups: tuple[str, ...]
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    requester: str | None = None
    editors: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    requested_at_ms: int = 0
    expires_at_ms: int = 0
    answered_by: tuple[str, ...] = ()
    end: ApprovalEnd | None = None
    comment: str | None = None
    exposure: Mapping[str, Exposed] = field(default_factory=dict[str, Exposed])
    counted: Mapping[str, Mapping[Period, Exposed]] = field(default_factory=dict[str, Mapping[Period, Exposed]])
    grantable: Grantable | None = None
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    copied: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    within: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    @property
    def agreed(self) -> Counts:
        """The sums over many runs up to which a yes lets the call."""
        return {name: {period: one.after for period, one in sums.items()} for name, sums in self.counted.items()}

    @property
    def required(self) -> int:
        """The number of different people who have to say yes."""
        return len(seats(self.groups))

    @property
    def lifetime_ms(self) -> int:
        """The time that people have to answer, in milliseconds."""
        return self.expires_at_ms - self.requested_at_ms

    @property
    def granted(self) -> bool:
        """True once enough of the right people have said yes."""
        return filled(self.groups, self.members, self.answered_by)

    def refuses(self, by: str, at_ms: int | None = None) -> Refusal | None:
        """Returns why an answer of this person does not count; None where it does.

        `at_ms` is when the answer is handled: from the expiry on it is late, whenever it was sent, because no worker
        may have run in between. None leaves the time out.
        """
        late = self.end is None and at_ms is not None and at_ms >= self.expires_at_ms
        if late or self.end is ApprovalEnd.EXPIRED:
            return Refusal("ApprovalExpired", "the approval has expired: the answer is late")
        if self.end is not None:
            return Refusal("ApprovalClosed", f"the approval was answered before: {self.end.value}")
        person = person_key(by)
        if self.requester is not None and person == person_key(self.requester):
            return Refusal("RequesterMayNotApprove", "who asked for the run may not answer its approvals")
        if person in people_keys(self.editors):
            return Refusal("EditorMayNotApprove", "who changed the arguments may not answer their approval")
        if person in people_keys(self.answered_by):
            return Refusal("AlreadyAnswered", "this person has answered already, and counts once")
        if not any(person in people_keys(self.members.get(name, ())) for name in names_of(self.groups)):
            return Refusal("NotInGroup", f"only members of {' or '.join(names_of(self.groups))} may answer")
        return None

    @property
    def approvers(self) -> list[str]:
        """The people whose answer would count now, each once; nobody once the approval has ended."""
        listed = [person for name in names_of(self.groups) for person in self.members.get(name, ())]
        once = {person_key(person): person for person in reversed(listed)}
        barred = people_keys([*self.editors, *self.answered_by, *([self.requester] if self.requester else [])])
        return [once[key] for key in people_keys(listed) if key not in barred] if self.end is None else []

    def lists(self, by: str) -> bool:
        """Tells whether a group that may answer lists a person in exactly this spelling."""
        return any(by in self.members.get(name, ()) for name in names_of(self.groups))

    def voted(self, by: str) -> "Approval":
        """Returns the approval after one more yes."""
        return replace(self, answered_by=(*self.answered_by, by))

    def ended(self, end: ApprovalEnd, comment: str | None = None) -> "Approval":
        """Returns the approval at its end; the first end stays."""
        return self if self.end else replace(self, end=end, comment=comment)


@functools.lru_cache(1_000)
def quorum_of(spec: str) -> Quorum | None:
    """Reads `finance` or `finance:2`; returns None for anything else, such as `finance:0`, `finance:` or `:2`."""
    match = _SPEC.fullmatch(spec)
    return Quorum(match[1], int(match[2] or 1)) if match else None


def strictest(quorums: Iterable[Quorum]) -> list[Quorum]:
    """Returns the largest quorum of each group, in the order in which groups appear."""
    found: dict[str, Quorum] = {}
    for quorum in quorums:
        found[quorum.group] = max(quorum, found.get(quorum.group, quorum))
    return list(found.values())


def names_of(specs: Sequence[str]) -> list[str]:
    """Returns the groups that specs name, each once, in their order."""
    return [quorum.group for quorum in strictest(_readable(specs))]


def seats(specs: Sequence[str]) -> list[str]:
    """Returns one entry per person needed: `finance` and `finance:2` together need two of finance."""
    return [quorum.group for quorum in strictest(_readable(specs)) for _ in range(quorum.count)]


def filled(specs: Sequence[str], members: Mapping[str, Sequence[str]], people: Sequence[str]) -> bool:
    """Tells whether every seat can go to a different person of its group.

    Nobody can fill a spec that cannot be read, and one person in two spellings is one person.
    """
    taken: dict[str, int] = {}
    wanted, voters = seats(specs), people_keys(people)
    inside = {group: people_keys(members.get(group, ())) for group in wanted}

    def seat(index: int, asked: set[str]) -> bool:
        for person in voters:
            if person in inside[wanted[index]] and person not in asked:
                asked.add(person)
                if person not in taken or seat(taken[person], asked):
                    taken[person] = index
                    return True
        return False

    return len(_readable(specs)) == len(specs) and all(seat(index, set()) for index in range(len(wanted)))


def _readable(specs: Sequence[str]) -> list[Quorum]:
    return [quorum for quorum in map(quorum_of, specs) if quorum is not None]
