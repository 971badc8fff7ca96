"""Defines what a sweep and workers tell each other of the task queues that the engine holds for a stop.

The server keeps the limit of a queue with a reason. While a queue is held that reason says for which incidents, and
what was in force before: whoever is killed between two steps loses nothing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from pydantic import Field

from backstay.kernel.control import Incident
from backstay.kernel.engine import CallKind, Traffic, Unheld
from backstay.kernel.keys import short_digest
from backstay.kernel.quota import PER_REQUEST

from .problems import Contract
from .quota import per_minute

LONGEST_REASON = 1_000
"""The most bytes that the server keeps of a reason."""
MOST_SHOWN = 8
"""The most incidents that a reason names; those beyond it hold the queue again where it is put back too early."""
_LIMIT = "no limit"
_SHOWN = re.compile(r"[!-+\--~]{1,64}")
_WORDS = re.compile(
    r"held by the incident ([!-~]+(?:, [!-~]+)*)\nbefore: (no limit|[0-9]+(?:\.[0-9]+)? rpm)\n(.*)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class QueueHold:
    """Describes a held queue; the server keeps it as the reason of the queue's rate.

    Attributes:
        incidents: those that hold it, as they are shown.
        rate: the limit that is put back, in thousandths of a call per minute; None for none.
        why: its reason.
    """

    incidents: tuple[str, ...]
    rate: int | None
    why: str

    @property
    def by(self) -> str:
        """Says which incidents hold the queue."""
        return f"held by the incident {', '.join(self.incidents)}"

    @property
    def words(self) -> str:
        """The reason, at most as long as the server takes it."""
        before = _LIMIT if self.rate is None else f"{per_minute(self.rate)} rpm"
        text = f"{self.by}\nbefore: {before}\n"
        left = LONGEST_REASON - len(text)
        return text + self.why.encode("utf-8", "replace")[:left].decode("utf-8", "ignore")

    @staticmethod
    def read(rate: int | None, words: str) -> "QueueHold | None":
        """Reads a limit and its reason; None where the queue is not held."""
        found = _WORDS.fullmatch(words)
        if rate != 0 or found is None:
            return None
        before = found[2].removesuffix(" rpm")
        former = None if before == _LIMIT else int(Decimal(before) * PER_REQUEST)
        return QueueHold(tuple(found[1].split(", ")), former, found[3])

    def beside(self, incident_id: str) -> "QueueHold":
        """Returns the hold of another incident too."""
        known = dict.fromkeys((*self.incidents, shown(incident_id)))
        return replace(self, incidents=tuple(known)[:MOST_SHOWN])

    def without(self, incident_id: str, known: Iterable[str] | None) -> "QueueHold":
        """Returns the hold of the other incidents; of none where all are over.

        Args:
            incident_id: the one that is over.
            known: the incidents that may still hold queues; None where nobody knows.
        """
        others = [one for one in self.incidents if one != shown(incident_id)]
        if known is not None:
            kept = {shown(one) for one in known}
            others = [one for one in others if one in kept]
        return replace(self, incidents=tuple(others))

    def is_of(self, incident_id: str) -> bool:
        """Tells whether an incident holds the queue."""
        return shown(incident_id) in self.incidents


def shown(incident_id: str) -> str:
    """Returns an incident's id as a reason has it: a digest where it is long, or has blanks, commas or odd letters."""
    return incident_id if _SHOWN.fullmatch(incident_id) else short_digest(incident_id)


class QueueUse(Contract):
    """Tells the calls of one kind that a queue carries, as `Traffic` has them."""

    queue: str
    kind: CallKind
    alone: bool
    uses: dict[str, list[str]] | None

    @property
    def traffic(self) -> Traffic:
        """The same for the kernel."""
        uses = None if self.uses is None else {agent: frozenset(names) for agent, names in self.uses.items()}
        return Traffic(self.queue, self.kind, self.alone, uses)


class FleetsInput(Contract):
    """Asks for the fleets of the namespace."""


class FleetRef(Contract):
    """A fleet of workers, by the task queue of its runs."""

    task_queue: str


class FleetQueues(Contract):
    """Tells which calls of a fleet go over which queue."""

    queues: list[QueueUse]


class FoundFleets(Contract):
    """The fleets of the namespace, and the queues of calls alone that are known without asking them."""

    task_queues: list[str]
    queues: list[QueueUse] = Field(default_factory=list[QueueUse])


class QueueLimit(Contract):
    """The limit of a queue in thousandths of a call per minute, None for none, and its reason."""

    rate: int | None = None
    why: str = ""


class HeldQueue(QueueLimit):
    """A queue that the engine holds, with the limit that is put back."""

    queue: str
    kind: CallKind


class UnheldQueue(Contract):
    """A queue with calls in scope that the engine cannot hold, and why."""

    queue: str
    kind: CallKind
    why: str

    @staticmethod
    def of(one: Unheld) -> "UnheldQueue":
        """Returns what the kernel found."""
        return UnheldQueue(queue=one.queue, kind=one.kind, why=one.why)


class EngineHold(Contract):
    """Lists the queues that the engine holds for an incident, and those that it cannot hold."""

    held: list[HeldQueue] = Field(default_factory=list[HeldQueue])
    unheld: list[UnheldQueue] = Field(default_factory=list[UnheldQueue])


class HoldInput(Contract):
    """Asks to hold what an incident wants held, and to put back the rest.

    Attributes:
        incident: the incident; where the control plane knows better, that counts.
        queues: what the queues carry, as fleets tell it.
        held: the queues that were held last.
    """

    incident: Incident
    queues: list[QueueUse]
    held: list[HeldQueue] = Field(default_factory=list[HeldQueue])
