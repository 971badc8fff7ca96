"""Says in figures why a budget or the deadline ended a run, and which setting to change."""

from dataclasses import dataclass

from .budget import Limits, ToolLimit
from .events import BudgetShort
from .grant import amounts_of, limit_of, setting_of, spelled
from .ledger import CLOSED
from .ledger_sums import LEVELS
from .money import format_usd
from .remainder import held_of, spent_of
from .run_state import RunState
from .stop import Stop, StopReason

_FIXED = {
    CLOSED: "its ledgers have settled what it held when it ended: start another run, a reset draws nothing",
    "history": "Temporal keeps no longer history of one run: give the rest of the work to another run",
    "usd:overbilled": "the provider billed more than was held: correct the model's `price`",
    "tokens:overbilled": "the provider billed more tokens than were held: see what its server adds to a request",
}

WHOSE = {"organisation": "the organisation", "tenant": "the tenant", "agent": "the agent in this tenant"}


@dataclass(frozen=True, slots=True)
class BudgetCard:
    """The question for more of an exhausted budget: its figures, and a sentence for people."""

    args: dict[str, str | int]
    reason: str


def asked_for(state: RunState, short: BudgetShort, added: Limits) -> BudgetCard:
    """Returns what people read who are asked to add to the limit that a hold passes."""
    dimension = short.dimension
    [(_, amount)] = amounts_of(added)
    name, limit = setting_of(dimension), limit_of(state.budget.limits, dimension) or 0
    args: dict[str, str | int] = {"dimension": name}
    spent, held = spent_of(state.budget, dimension), held_of(state.budget, dimension)
    for key, figure in (("spent", spent), ("held", held), ("limit", limit), ("asked", amount)):
        args[key] = spelled(dimension, figure) if dimension == "usd" else figure
    what = "a further decision" if short.call is None else f"a call of {short.call}"
    left = spelled(dimension, max(0, short.left or 0))
    needed = spelled(dimension, short.needed or 0)
    return BudgetCard(args, f"{what} needs {needed} of `{name}`, {left} is left: a yes adds {args['asked']}")


def explained(state: RunState, stop: Stop | None) -> str | None:
    """Returns the figures behind a stop by the budget or the deadline, and the mend; None for other reasons."""
    if stop is None:
        return None
    if stop.reason is StopReason.DEADLINE_EXCEEDED:
        return f"all {state.budget.limits.seconds} seconds are used: raise seconds"
    if stop.reason is not StopReason.BUDGET_EXHAUSTED or stop.detail is None:
        return None
    if stop.detail in _FIXED:
        return _FIXED[stop.detail]
    short = state.short
    figures = _figures(state, short) if short is not None and short.dimension == stop.detail else None
    missed = state.thresholds.wrap_up and not state.wrapped and figures is not None
    return f"{figures}; it was too little for a last answer" if missed else figures


def _figures(state: RunState, short: BudgetShort) -> str | None:
    if short.needed is None or short.left is None:
        return None  # of a record that has no figures
    if over_many_runs := _over_many_runs(short.dimension, short.needed, max(0, short.left), begun=bool(state.drawn)):
        return over_many_runs
    what = f"the call of {short.call}"
    if short.call is None:
        what = "the next decision and a last answer" if state.wrapped else "the next decision"
    mend = " or lower max_output_tokens" if short.call is None else ""
    left = max(0, short.left)
    if short.dimension == "usd":
        return f"{what} may cost up to {format_usd(short.needed)}, {format_usd(left)} is left: raise usd{mend}"
    if short.dimension == "tokens":
        return f"{what} may take up to {short.needed} tokens, {left} are left: raise tokens{mend}"
    if short.dimension.startswith("tool:"):
        return _of_tool(state, short.dimension.removeprefix("tool:"))
    limit = getattr(state.budget.limits, short.dimension, None)
    named = short.dimension.replace("_", " ")
    if not left:
        return f"all {limit} {named} are used: raise {short.dimension}"
    return f"{what} needs up to {short.needed} {named}, {left} of {limit} are left: raise {short.dimension}"


def _over_many_runs(name: str, needed: int, left: int, *, begun: bool) -> str | None:
    """Explains a limit of the organisation, such as `usd:tenant:day` or `runs_at_once:tenant`; None for others."""
    rest, _, last = name.rpartition(":")
    if last in LEVELS:
        return f"as many runs of {WHOSE[last]} are open as may be together: wait until one ends, or raise {rest}"
    quantity, _, level = rest.rpartition(":")
    if level not in LEVELS:
        return None
    usd = quantity == "usd"
    asked, room = (format_usd(needed), format_usd(left)) if usd else (str(needed), str(left))
    unit = "USD" if usd else quantity
    # A run that holds its whole ceiling at once may not even fit into a day in which nothing is spent yet.
    mend = "raise it or wait" if begun else "raise it, wait, or give the run a smaller budget"
    return f"a hold of {asked} does not fit: {room} {unit} are left to {WHOSE[level]} this {last}; {mend}"


def _of_tool(state: RunState, name: str) -> str:
    tool = name.removesuffix(":per_minute")
    limit = state.budget.limits.tools.get(tool, ToolLimit())
    if tool != name:
        return f"{tool} may be called {limit.per_minute} times a minute: raise tools.{tool}.per_minute"
    return f"all {limit.calls} calls of {tool} are used: raise tools.{tool}.calls"
