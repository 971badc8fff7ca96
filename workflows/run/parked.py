"""The calls of a decision that stand still, so that another link of the chain can go on with them.

A call stands still where it waits for people, and nothing of it is under way: no activity, no child run. Whoever lets a
call wait says here how the next link begins the same wait again.
"""

import contextlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from backstay.contracts.carried_call import CarriedAsking, CarriedCall
from backstay.contracts.decision import ProposedCall


@dataclass(frozen=True, slots=True)
class Stand:
    """A place at which a call stands: `still` while nobody lets it go on, and `carried` for the next link."""

    still: Callable[[], bool]
    carried: Callable[[], CarriedCall]


@dataclass(frozen=True, slots=True)
class DecisionStand:
    """A place at which a decision stands before its calls are judged: `still` while nobody lets it go on."""

    still: Callable[[], bool]
    carried: CarriedAsking


class Parked:
    """The calls of the decision in progress, and where each of them stands."""

    def __init__(self) -> None:
        self.proposed: dict[str, ProposedCall] = {}
        """The calls as the model proposed them, by their ids, in the order asked; none between two decisions."""
        self._stands: dict[str, Stand | None] = {}
        self._ends: dict[str, Callable[[], CarriedCall]] = {}
        self._decision: DecisionStand | None = None

    def begins(self, calls: Sequence[ProposedCall]) -> None:
        """Takes down the calls of a decision that begin now."""
        self.proposed = {call.call_id: call for call in calls}

    def ends(self) -> None:
        """Forgets the calls: each has its result."""
        self.proposed, self._stands, self._ends = {}, {}, {}

    @contextlib.contextmanager
    def at(self, call_id: str, stand: Stand | None) -> Generator[None]:
        """Lets a call stand at a place for as long as the block takes; with None it is under way."""
        before = self._stands.get(call_id)
        self._stands[call_id] = stand
        try:
            yield
        finally:
            self._stands[call_id] = before

    def ended(self, call_id: str, carried: Callable[[], CarriedCall]) -> None:
        """Takes down that a call has ended, while others of its decision still go on."""
        self._ends[call_id] = carried

    @contextlib.contextmanager
    def deciding(self, stand: DecisionStand) -> Generator[None]:
        """Lets the decision stand at a place for as long as the block takes."""
        self._decision = stand
        try:
            yield
        finally:
            self._decision = None

    @property
    def asking(self) -> CarriedAsking | None:
        """The decision that stands still, for the next link; None where none does."""
        return self._decision.carried if self._decision else None

    @property
    def still(self) -> bool:
        """True where a decision is in progress that nothing moves: what has not ended stands still."""
        if self._decision is not None:
            return self._decision.still()
        waiting = [one for one in self.proposed if one not in self._ends]
        stands = [self._stands.get(one) for one in waiting]
        return bool(waiting) and all(stand is not None and stand.still() for stand in stands)

    def carried(self) -> list[CarriedCall]:
        """Returns the calls for the next link, in the order asked; all stand still."""
        each = {one: stand.carried for one, stand in self._stands.items() if stand} | self._ends
        return [each[one]() for one in self.proposed]
