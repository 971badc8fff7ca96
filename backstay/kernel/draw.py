"""Decides how much a run draws on ledgers, where its organisation limits what runs spend together."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from .budget import Amount
from .events import DecisionHeld
from .keys import LAST_ANSWER
from .ledger_sums import RUNS, Amounts, quantity_of
from .run_state import RunState


@dataclass(frozen=True, slots=True)
class Paid:
    """A call that money is to be drawn for: what an attempt costs in micro-dollars, and how many there may be."""

    cost: int
    attempts: int

    @property
    def usd(self) -> int:
        """The cost of all attempts."""
        return self.cost * self.attempts


def first_draw(state: RunState, lump: int | None, decision: Amount) -> dict[str, int]:
    """Returns what a run holds at its admission: itself, its whole ceiling of tokens, and US dollars.

    Args:
        state: the state of the run.
        lump: the micro-dollars to draw at a time; None draws the whole ceiling.
        decision: the worst case of the first decision and of a last answer, which are held in any case.
    """
    return {**next_draw(state, lump, counted(decision)), RUNS: 1}


def further(state: RunState, held: DecisionHeld) -> Amount:
    """Returns what a decision holds beyond the holds of now: itself, and a last answer in place of the one before."""
    return held.amount + (held.last_answer or Amount()) - state.budget.holds.get(LAST_ANSWER, Amount())


def uncovered(state: RunState, more: Amount) -> dict[str, int]:
    """Returns by how much a further hold exceeds all that was drawn, of US dollars and of tokens; empty where covered.

    Nothing is uncovered where nothing was drawn.
    """
    if state.drawn is None:
        return {}
    taken = counted(state.budget.spent + state.budget.held + more)
    missing = {name: amount - state.drawn.get(name, 0) for name, amount in taken.items()}
    return {name: amount for name, amount in missing.items() if amount > 0}


def next_draw(state: RunState, lump: int | None, needed: Amounts) -> dict[str, int]:
    """Returns what to draw next: US dollars in lumps, tokens up to the ceiling; at least what is needed.

    Nothing is drawn above the ceilings: a hold that needs more is none.

    Args:
        state: the state of the run.
        lump: the micro-dollars to draw at a time; None draws up to the ceiling.
        needed: the least that further holds take, by quantity; of the others nothing is drawn.
    """
    draws: dict[str, int] = {}
    for name, least in needed.items():
        ceiling: int | None = getattr(state.budget.limits, name)
        size = lump if name == "usd" else None
        if ceiling is None:
            draws[name] = max(size or 0, least)
            continue
        left = max(0, ceiling - (state.drawn or {}).get(name, 0))
        draws[name] = left if size is None else min(max(size, least), left)
    return {name: amount for name, amount in draws.items() if amount}


def unused(state: RunState) -> int:
    """Returns the micro-dollars that were drawn and are neither spent nor held."""
    return max(0, (state.drawn or {}).get("usd", 0) - counted(state.budget.spent + state.budget.held)["usd"])


def most_within(room: int, calls: Iterable[Paid]) -> int:
    """Returns what those calls take that a room suffices for, in the order asked, if need be with fewer attempts."""
    left = room
    for call in calls:
        left -= min(call.attempts, left // call.cost) * call.cost if call.cost else 0
    return room - left


def within_drawn(state: RunState) -> RunState:
    """Returns the state with limits that ledgers hold for the run already, where it draws on any."""
    if state.drawn is None:
        return state
    limits = state.budget.limits
    lowest: dict[str, int] = {}
    for name in counted(Amount()):
        ceiling, drawn = getattr(limits, name), state.drawn.get(name, 0)
        lowest[name] = drawn if ceiling is None else min(ceiling, drawn)
    return replace(state, budget=replace(state.budget, limits=replace(limits, **lowest)))


def counted(amount: Amount) -> dict[str, int]:
    """Returns what ledgers count of an amount."""
    return {"usd": amount.usd, "tokens": amount.tokens}


def spent_of(state: RunState, meters: Iterable[str] = (), *, draws: bool = True) -> Amounts:
    """Returns what a run has used up, as its ledgers count it; what it still holds may have been spent.

    Args:
        state: the state of the run.
        meters: those that ledgers count.
        draws: whether the run draws US dollars and tokens.
    """
    # What its children have added to meters they have told the ledgers themselves.
    exposed = (state.budget.spent - state.delegated + state.budget.held).exposure
    drawn = counted(state.budget.spent + state.budget.held) if draws else {}
    return {**drawn, **{quantity_of(name): exposed.get(name, 0) for name in meters}}
