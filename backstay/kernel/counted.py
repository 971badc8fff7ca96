"""Counts a call beyond its run: in the sums of its tenant over a day and a month, as ledgers keep them."""

from collections.abc import Container, Mapping

from .approval import ApprovalKind
from .ledger import CLOSED
from .ledger_period import Period
from .ledger_sums import Amounts, Counts, meter_of, quantity_of
from .ledger_sums import Excess as LimitExcess
from .meter import Exposed, format_amount
from .run_state import RunState
from .shortage import WHOSE

_CLOSED = "its ledgers have settled what the run held when it ended: start another run"


def counted_amounts(exposure: Mapping[str, int], meters: Container[str]) -> Amounts:
    """Returns what a call adds to those of its meters that ledgers count, by their quantities."""
    return {quantity_of(name): amount for name, amount in exposure.items() if name in meters}


def sums_of(counts: Counts, periods: Mapping[str, Container[Period]]) -> Counts:
    """Returns the sums of a ledger by meter, in the periods in which each is counted."""
    named = {meter_of(quantity) or "": sums for quantity, sums in counts.items()}
    return {
        name: {period: units for period, units in named[name].items() if period in counted}
        for name, counted in periods.items()
        if name in named
    }


def sums_before(sums: Counts, exposure: Mapping[str, int]) -> Counts:
    """Returns sums without the call that they include."""
    return {
        name: {period: units - exposure.get(name, 0) for period, units in by_period.items()}
        for name, by_period in sums.items()
    }


def sums_with(sums: Counts, exposure: Mapping[str, int]) -> Counts:
    """Returns sums with a call that they do not include."""
    return sums_before(sums, {name: -amount for name, amount in exposure.items()})


def counted_by(
    state: RunState, sums: Counts, exposure: Mapping[str, int], limits: Counts
) -> dict[str, Mapping[Period, Exposed]]:
    """Returns the meters of a call over many runs, as people are shown them.

    The sum before the call has what waits in the same run for people to let it above a limit, as that of the run has.

    Args:
        state: the state of the run.
        sums: what ledgers told, with the call.
        exposure: what the call adds.
        limits: the lowest limit of each sum; a sum without one has no limit.
    """
    waiting = [one.counted for one in state.open_approvals if one.kind is ApprovalKind.EXPOSURE]

    def exposed(name: str, period: Period, units: int) -> Exposed:
        amount = exposure.get(name, 0)
        others = sum(one[name][period].amount for one in waiting if period in one.get(name, {}))
        return Exposed(units - amount + others, amount, limits.get(name, {}).get(period))

    return {
        name: {period: exposed(name, period, units) for period, units in by_period.items()}
        for name, by_period in sums.items()
        if name in exposure
    }


def limit_words(limit: LimitExcess) -> str:
    """Says which limit over many runs has no room for a call, and what is left of it."""
    if limit.name == CLOSED:
        return _CLOSED
    _, name, level, period = limit.name.split(":")
    asked, left = format_amount(limit.needed), format_amount(max(0, limit.left))
    return f"the call adds {asked} to `{name}`, and {left} is left to {WHOSE[level]} this {period}"
