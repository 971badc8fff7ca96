"""Plans holds and bills: each function returns the event that has to happen next."""

from collections.abc import Mapping
from dataclasses import replace

from .approval import ApprovalKind
from .budget import Amount
from .draw import within_drawn
from .events import BudgetShort, CallHeld, Concluding, DecisionHeld, DecisionSettled, ExposureExceeded
from .keys import LAST_ANSWER, act_id
from .meter import Exposed
from .price import Lost, Price, Usage
from .remainder import nearly_spent
from .run_state import RunState

ATTEMPTS = 3
USEFUL_OUTPUT_TOKENS = 64
LAST_OUTPUT_TOKENS = 256
"""The output that is held back for a last answer, at the least."""
LAST_NEWS_TOKENS = 1_024
"""The room that is held back for what a last answer is told: the results of calls, perhaps without their texts."""
LAST_SHARE = 3
"""A budget of few steps has none to hold back for a last answer: it may take one of so many, not more."""


def open_decision(state: RunState, added_bytes: int, seconds: int = 0) -> DecisionHeld | BudgetShort | Concluding:
    """Returns the hold of the next decision, or the dimension without room for it, or that it is time to conclude.

    `added_bytes` is what the conversation gained since the last reply. A token is never less than one byte, so the last
    reply's count plus these bytes bounds the input from above without a tokenizer. The hold covers the full output of
    several attempts where the budget has room, else of one, else a capped output. Until the agent is told to conclude,
    room for a last answer stays free; where the run wraps up, a last answer stays held to the end. `seconds` is how
    many of the run's have passed.
    """
    bound = state.context_tokens + added_bytes
    if state.thresholds.wrap_up:
        return _open_before_last(state, bound, seconds)
    if state.thresholds.conclude_at is not None and not state.concluding:
        if dimension := nearly_spent(state, seconds):
            return Concluding(dimension)
        held = _fitting(state, bound, _last_answer(state, bound))
        short = state.budget.shortfall(held.amount + _last_answer(state, bound))
        return Concluding(short.dimension) if short else held
    held = _fitting(state, bound, Amount())
    short = state.budget.shortfall(held.amount)
    return BudgetShort(short.dimension, None, short.needed, short.left) if short else held


def open_last_answer(state: RunState, added_bytes: int) -> DecisionHeld | None:
    """Returns the hold of a last answer, from all that is left and what was held back; None where it has no room.

    A run that draws on ledgers has left what they hold for it.
    """
    free = within_drawn(_without_last_answer(state))
    held = _fitting(free, state.context_tokens + added_bytes, Amount())
    return held if free.budget.shortfall(held.amount) is None else None


def _open_before_last(state: RunState, bound: int, seconds: int) -> DecisionHeld | BudgetShort | Concluding:
    """Opens a decision with a last answer held back beside it, where the budget was large enough for that at first."""
    if not state.concluding and (dimension := nearly_spent(state, seconds)):
        return Concluding(dimension)
    free, last = _without_last_answer(state), _held_back(state, bound)
    held = _fitting(free, bound, last)
    short = free.budget.shortfall(held.amount + last)
    if LAST_ANSWER not in state.budget.holds and (short or state.step or _too_small(state, last, held)):
        held = _fitting(state, bound, Amount())
        short = state.budget.shortfall(held.amount)
        return BudgetShort(short.dimension, None, short.needed, short.left) if short else held
    if short:
        return BudgetShort(short.dimension, None, short.needed, short.left)
    return replace(held, last_answer=last)


def _without_last_answer(state: RunState) -> RunState:
    return replace(state, budget=state.budget.release(LAST_ANSWER))


def _held_back(state: RunState, bound: int) -> Amount:
    """Returns the most that a last answer costs after a full decision and its results."""
    output = min(LAST_OUTPUT_TOKENS, state.max_output_tokens)
    return replace(_attempts(state, 1, bound + state.max_output_tokens + LAST_NEWS_TOKENS, output), steps=1)


def _too_small(state: RunState, last: Amount, first: DecisionHeld) -> bool:
    """Tells whether a budget is too small to hold a last answer back: it would leave too little for the first one."""
    limits = state.budget.limits
    pairs = ((getattr(last, name), getattr(limits, name)) for name in ("steps", "model_calls"))
    few = any(limit is not None and amount * LAST_SHARE > limit for amount, limit in pairs)
    return few or first.max_output_tokens < state.max_output_tokens


def _fitting(state: RunState, bound: int, reserve: Amount) -> DecisionHeld:
    """Returns the largest decision that fits beside a reserve, or the smallest useful one where none fits."""
    useful = min(USEFUL_OUTPUT_TOKENS, state.max_output_tokens)
    for attempts in range(ATTEMPTS, 0, -1):
        held = _decision(state, attempts, bound, state.max_output_tokens)
        if state.budget.shortfall(held.amount + reserve) is None:
            return held
    output = min(state.max_output_tokens, _output_left(state, bound, reserve))
    return _decision(state, 1, bound, max(useful, output))


def _last_answer(state: RunState, bound: int) -> Amount:
    """Returns the most a short answer costs after a full decision; its input repeats the whole conversation."""
    useful = min(USEFUL_OUTPUT_TOKENS, state.max_output_tokens)
    return replace(_attempts(state, 1, bound + state.max_output_tokens, useful), steps=1)


def settle_decision(
    state: RunState, usage: Usage | None, lost: Lost, replied: bool, served: Price | None = None
) -> DecisionSettled:
    """Returns the bill of the open decision.

    A lost attempt, and a reply without usable usage, count at their hold, and a lost one at its bill where that is
    more. `usage` is the provider's bill for the reply, or None where it sent none; `served` is the price of the model
    that replied, where that is another one. What counts is the dearest: at either price, or by the provider's own sum.
    """
    held = state.decision
    if held is None:
        return DecisionSettled(state.step, Amount(), 0, 0, state.context_tokens)
    unbilled_calls = min(lost.attempts + (1 if replied and usage is None else 0), held.attempts)
    each = _attempts(state, 1, held.input_tokens, held.max_output_tokens)
    unbilled = _times(each, unbilled_calls)
    amount = sum((_above(each, billed(state.price, bill)) for bill in lost.bills), unbilled)
    if usage is None:
        context = held.input_tokens + (held.max_output_tokens if replied else 0)
    else:
        context = usage.input_tokens + usage.output_tokens
        amount += billed(state.price, usage, served)
    return DecisionSettled(held.step, replace(amount, steps=1), unbilled.usd, lost.attempts, context)


def billed(asked: Price | None, usage: Usage, served: Price | None = None) -> Amount:
    """Returns what one reply costs, where the provider has billed it.

    Args:
        asked: the price of the model that was asked; None where nothing counts money.
        usage: the bill.
        served: the price of the model that replied, where that is another one.
    """
    prices = [price for price in (asked, served) if price] if asked else []
    cost = max([usage.usd, *(price.cost(usage) for price in prices)]) if prices else 0
    return Amount(model_calls=1, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, usd=cost)


def _above(held: Amount, billed: Amount) -> Amount:
    """Returns by how much a bill exceeds its hold."""
    return Amount(
        input_tokens=max(0, billed.input_tokens - held.input_tokens),
        output_tokens=max(0, billed.output_tokens - held.output_tokens),
        usd=max(0, billed.usd - held.usd),
    )


def open_call(state: RunState, one: CallHeld, attempts: int = 1) -> CallHeld | BudgetShort | ExposureExceeded:
    """Returns the hold of one tool call, or the dimension that has no room for it, or the meters that it would exceed.

    `one` is the hold of a single attempt. Held is for as many `attempts` as the budget has room for; what the call
    means in the domain counts once.
    """
    if over := state.budget.excess(one.exposure, one.agreed):
        return ExposureExceeded(one.call_id, one.tool, over)
    usd = one.usd * attempts
    short = state.budget.shortfall(Amount(tool_calls=1, usd=usd, tools={one.tool: 1}), one.at_ms)
    if short is None:
        return replace(one, usd=usd)
    if attempts > 1:
        return open_call(state, one, attempts - 1)
    return BudgetShort(short.dimension, one.tool, short.needed, short.left)


def exposed_by(state: RunState, call_id: str, exposure: Mapping[str, int]) -> dict[str, Exposed]:
    """Returns the meters of a call as people are shown them.

    Beside what is spent and held, the sum before the call has what waits for people to let it above a limit: a yes to
    each of them, in the order asked, is a yes to what then happens.
    """
    if not exposure:
        return {}
    taken = state.budget.exposed([act_id(call_id)])
    waiting = [one.exposure for one in state.open_approvals if one.kind is ApprovalKind.EXPOSURE]
    shown: dict[str, Exposed] = {}
    for name, amount in exposure.items():
        before = taken.get(name, 0) + sum(one[name].amount for one in waiting if name in one)
        limit = min((bound.limit for bound in state.budget.limits.exposure.get(name, ())), default=None)
        shown[name] = Exposed(before, amount, limit)
    return shown


def _decision(state: RunState, attempts: int, bound: int, output: int) -> DecisionHeld:
    amount = replace(_attempts(state, attempts, bound, output), steps=1)
    return DecisionHeld(state.step + 1, attempts, bound, output, amount)


def _attempts(state: RunState, attempts: int, input_tokens: int, output_tokens: int) -> Amount:
    usd = state.price.worst_case(input_tokens, output_tokens) if state.price else 0
    return _times(Amount(model_calls=1, input_tokens=input_tokens, output_tokens=output_tokens, usd=usd), attempts)


def _times(each: Amount, count: int) -> Amount:
    return sum((each for _ in range(count)), Amount())


def _output_left(state: RunState, bound: int, reserve: Amount) -> int:
    """Returns how many output tokens fit beside a reserve and an input of `bound` tokens, by tokens and by money."""
    room = [state.max_output_tokens]
    if (tokens := state.budget.left("tokens")) is not None:
        room.append(tokens - reserve.tokens - bound)
    usd = state.budget.left("usd")
    if (
        usd is not None
        and state.price
        and (output := state.price.affordable_output(usd - reserve.usd, bound)) is not None
    ):
        room.append(output)
    return min(room)
