"""Approvals: a pending request to people, bound to one exact call, and who may answer it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

_SPEC = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.@/-]{0,79})(?::([1-9][0-9]?))?", re.ASCII)


class ApprovalKind(StrEnum):
    """The kinds of an approval: release a call, tell how one ended, or answer a question."""

    ACTION = "action"
    OUTCOME_UNKNOWN = "outcome_unknown"
    QUESTION = "question"


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

    `members` lists who is in each group; times are milliseconds since the epoch.
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
        if self.requester is not None and same_person(by, self.requester):
            return Refusal("RequesterMayNotApprove", "who asked for the run may not answer its approvals")
        if any(same_person(by, editor) for editor in self.editors):
            return Refusal("EditorMayNotApprove", "who changed the arguments may not answer their approval")
        if by in self.answered_by:
            return Refusal("AlreadyAnswered", "this person has answered already, and counts once")
        if not any(by in self.members.get(name, ()) for name in names_of(self.groups)):
            return Refusal("NotInGroup", f"only members of {' or '.join(names_of(self.groups))} may answer")
        return None

    def voted(self, by: str) -> "Approval":
        """Returns the approval after one more yes."""
        return replace(self, answered_by=(*self.answered_by, by))

    def ended(self, end: ApprovalEnd, comment: str | None = None) -> "Approval":
        """Returns the approval at its end; the first end stays."""
        return self if self.end else replace(self, end=end, comment=comment)


def same_person(one: str, other: str) -> bool:
    """Tells whether two names may be one person's, so that another spelling lets nobody in who is barred."""
    return one.strip().casefold() == other.strip().casefold()


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

    Nobody can fill a spec that cannot be read.
    """
    taken: dict[str, int] = {}
    wanted = seats(specs)

    def seat(index: int, asked: set[str]) -> bool:
        for person in people:
            if person in members.get(wanted[index], ()) and person not in asked:
                asked.add(person)
                if person not in taken or seat(taken[person], asked):
                    taken[person] = index
                    return True
        return False

    return len(_readable(specs)) == len(specs) and all(seat(index, set()) for index in range(len(wanted)))


def _readable(specs: Sequence[str]) -> list[Quorum]:
    return [quorum for quorum in map(quorum_of, specs) if quorum is not None]
