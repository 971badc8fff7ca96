"""Plans holds and bills: each function returns the event that has to happen next."""

from dataclasses import replace

from .budget import Amount
from .events import BudgetShort, CallHeld, Concluding, DecisionHeld, DecisionSettled
from .price import Price, Usage
from .run_state import RunState

ATTEMPTS = 3
USEFUL_OUTPUT_TOKENS = 64


def open_decision(state: RunState, added_bytes: int) -> DecisionHeld | BudgetShort | Concluding:
    """Returns the hold of the next decision, or the dimension without room for it, or that it is time to conclude.

    `added_bytes` is what the conversation gained since the last reply. A token is never less than one byte, so the last
    reply's count plus these bytes bounds the input from above without a tokenizer. The hold covers the full output of
    several attempts where the budget has room, else of one, else a capped output. Until the agent is told to conclude,
    room for a last answer stays free.
    """
    bound = state.context_tokens + added_bytes
    if state.thresholds.conclude_at is not None and not state.concluding:
        if dimension := _nearly_spent(state):
            return Concluding(dimension)
        held = _fitting(state, bound, _last_answer(state, bound))
        short = state.budget.shortfall(held.amount + _last_answer(state, bound))
        return Concluding(short.dimension) if short else held
    held = _fitting(state, bound, Amount())
    short = state.budget.shortfall(held.amount)
    return BudgetShort(short.dimension) if short else held


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


def _nearly_spent(state: RunState) -> str | None:
    share = state.thresholds.conclude_at or 100
    for dimension in ("steps", "model_calls", "tool_calls", "tokens", "usd"):
        limit = getattr(state.budget.limits, dimension)
        spent = getattr(state.budget.spent, dimension)
        if limit and spent and spent * 100 >= limit * share:
            return dimension
    return None


def settle_decision(
    state: RunState, usage: Usage | None, lost_attempts: int, replied: bool, served: Price | None = None
) -> DecisionSettled:
    """Returns the bill of the open decision.

    A lost attempt, and a reply without usable usage, count at their hold. `usage` is the provider's bill for the reply,
    or None where it sent none; `served` is the price of the model that replied, where that is another one: the dearer
    of the two counts.
    """
    held = state.decision
    if held is None:
        return DecisionSettled(state.step, Amount(), 0, 0, state.context_tokens)
    unbilled_calls = min(lost_attempts + (1 if replied and usage is None else 0), held.attempts)
    each = _attempts(state, 1, held.input_tokens, held.max_output_tokens)
    unbilled = _times(each, unbilled_calls)
    if usage is None:
        context = held.input_tokens + (held.max_output_tokens if replied else 0)
        amount = unbilled
    else:
        context = usage.input_tokens + usage.output_tokens
        prices = [price for price in (state.price, served) if price] if state.price else []
        cost = max((price.cost(usage) for price in prices), default=0)
        amount = unbilled + Amount(
            model_calls=1, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, usd=cost
        )
    return DecisionSettled(held.step, replace(amount, steps=1), unbilled.usd, lost_attempts, context)


def open_call(state: RunState, one: CallHeld, attempts: int = 1) -> CallHeld | BudgetShort:
    """Returns the hold of one tool call, or the dimension that has no room for it.

    `one` is the hold of a single attempt. Held is for as many `attempts` as the budget has room for.
    """
    usd = one.usd * attempts
    short = state.budget.shortfall(Amount(tool_calls=1, usd=usd, tools={one.tool: 1}), one.at_ms)
    if short is None:
        return replace(one, usd=usd)
    if attempts > 1:
        return open_call(state, one, attempts - 1)
    return BudgetShort(short.dimension)


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
