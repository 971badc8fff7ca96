"""The holds a run asks for, and what becomes of them: each function answers with the event that has to happen."""

from dataclasses import replace

from .budget import Amount, Shortfall
from .events import BudgetShort, CallHeld, DecisionHeld, DecisionSettled
from .price import Usage
from .run_state import RunState

ATTEMPTS = 3
USEFUL_OUTPUT_TOKENS = 64


def open_decision(state: RunState, added_bytes: int) -> DecisionHeld | BudgetShort:
    """The hold of the next decision, or the dimension that has no room for it.

    `added_bytes` is the size of what the conversation gained since the last reply. A token is never less than one
    byte, so last reply's count plus these bytes bounds the input from above without a tokenizer. The full output for
    several attempts is held where the budget covers it, for one where not, and a capped output where that is all.
    """
    bound = state.context_tokens + added_bytes
    useful = min(USEFUL_OUTPUT_TOKENS, state.max_output_tokens)
    for attempts in range(ATTEMPTS, 0, -1):
        held = _decision(state, attempts, bound, state.max_output_tokens)
        if state.budget.shortfall(held.amount) is None:
            return held
    capped = _decision(state, 1, bound, max(useful, min(state.max_output_tokens, _output_left(state, bound))))
    short = state.budget.shortfall(capped.amount)
    return BudgetShort(short.dimension) if short else capped


def settle_decision(state: RunState, usage: Usage | None, lost_attempts: int, replied: bool) -> DecisionSettled:
    """The bill of the open decision.

    An attempt that was lost, and a reply without usable usage, count at their hold; `usage` is what the provider
    billed for the reply, None where it did not say.
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
        cost = state.price.cost(usage) if state.price else 0
        amount = unbilled + Amount(
            model_calls=1, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, usd=cost
        )
    return DecisionSettled(held.step, replace(amount, steps=1), unbilled.usd, lost_attempts, context)


def open_call(state: RunState, call_id: str, tool: str, at_ms: int, usd: int = 0) -> CallHeld | BudgetShort:
    """The hold of one tool call, or the dimension that has no room for it."""
    short: Shortfall | None = state.budget.shortfall(Amount(tool_calls=1, usd=usd, tools={tool: 1}), at_ms)
    return BudgetShort(short.dimension) if short else CallHeld(call_id, tool, at_ms, usd)


def _decision(state: RunState, attempts: int, bound: int, output: int) -> DecisionHeld:
    amount = replace(_attempts(state, attempts, bound, output), steps=1)
    return DecisionHeld(state.step + 1, attempts, bound, output, amount)


def _attempts(state: RunState, attempts: int, input_tokens: int, output_tokens: int) -> Amount:
    usd = state.price.worst_case(input_tokens, output_tokens) if state.price else 0
    return _times(Amount(model_calls=1, input_tokens=input_tokens, output_tokens=output_tokens, usd=usd), attempts)


def _times(each: Amount, count: int) -> Amount:
    return sum((each for _ in range(count)), Amount())


def _output_left(state: RunState, bound: int) -> int:
    """How many output tokens fit beside an input of `bound` tokens, by tokens and by money."""
    room = [state.max_output_tokens]
    if (tokens := state.budget.left("tokens")) is not None:
        room.append(tokens - bound)
    usd = state.budget.left("usd")
    if usd is not None and state.price and (output := state.price.affordable_output(usd, bound)) is not None:
        room.append(output)
    return min(room)
