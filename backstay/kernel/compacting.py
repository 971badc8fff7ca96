"""Decides when a conversation is compacted, which of its turns are, and what that holds.

A turn is a decision with the results of all its calls and the notes after them, so that no call is parted from its
result. Turns are counted from 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .budget import Amount
from .compact_events import CompactionHeld, CompactionSettled
from .events import DecisionHeld
from .plan import ATTEMPTS, settle_decision
from .price import Lost, Price, Usage
from .run_state import RunState

ITEM_OVERHEAD = 64
"""Tokens that a message, a call or a tool may cost beside its own text: a generous bound."""
_VERBATIM = 2
"""The turns that stay verbatim take one of so many parts of the room at the most; the last turn stays in any case."""
_THIRDS = 3


@dataclass(frozen=True, slots=True)
class TurnSize:
    """Bounds the tokens of a turn from above, by bytes; `thin` is the same without the texts of its results."""

    whole: int
    thin: int


@dataclass(frozen=True, slots=True)
class Cut:
    """Says which turns are compacted: of those up to `through` the results, those up to `dropped` altogether."""

    dropped: int = 0
    through: int = 0


def threshold(window: int, compact_at: int, output: int) -> int:
    """Returns the tokens at which a conversation is compacted.

    Args:
        window: the tokens that the model takes, its reply included.
        compact_at: the percentage of them at which it is time.
        output: the most tokens of a reply, which need room beside the conversation.
    """
    return max(1, min(window * compact_at // 100, window - output))


def summarised(turns: Sequence[TurnSize], room: int, before: Cut) -> Cut | None:
    """Returns which turns a summary replaces: all but the last, which stay verbatim as far as they fit.

    Returns None where that would replace too little to be worth a request to the model.

    Args:
        turns: all turns so far.
        room: the tokens that the whole conversation may take after it.
        before: what was compacted before.
    """
    through = len(turns) - _kept(turns, room // _VERBATIM)
    gained = sum(turn.whole for turn in turns[before.dropped : through])
    return Cut(through, through) if gained * _THIRDS > room else None


def truncated(turns: Sequence[TurnSize], room: int, before: Cut) -> Cut | None:
    """Returns which turns lose their results, and which of the oldest are left out, so that the rest fits the room.

    Returns None where nothing more can be left out: the last turn stays verbatim whatever it takes.
    """
    through = max(before.through, len(turns) - _kept(turns, room * 3 // 4))
    left = room - sum(turn.whole for turn in turns[through:])
    dropped = before.dropped
    while dropped < through and sum(turn.thin for turn in turns[dropped:through]) > left:
        dropped += 1
    cut = Cut(dropped, through)
    return cut if cut != before else None


def size_after(turns: Sequence[TurnSize], cut: Cut) -> int:
    """Returns a bound of the tokens of all turns that are left after a cut, without what stands in their place."""
    thin = sum(turn.thin for turn in turns[cut.dropped : cut.through])
    return thin + sum(turn.whole for turn in turns[cut.through :])


def _kept(turns: Sequence[TurnSize], room: int) -> int:
    """Returns how many of the last turns fit a room together; the last one counts in any case."""
    kept, size = 0, 0
    for turn in reversed(turns):
        size += turn.whole
        if kept and size > room:
            break
        kept += 1
    return kept


def open_compaction(
    state: RunState, number: int, price: Price | None, added_bytes: int, output: int
) -> CompactionHeld | None:
    """Returns the hold of a request for a summary; None where the budget has no room for it and a decision after it.

    Args:
        state: the state of the run; its last request bounds what this one repeats.
        number: the number of the compaction.
        price: that of the model that is asked.
        added_bytes: what the request says beyond the conversation.
        output: the most tokens of the summary.
    """
    bound = state.context_tokens + added_bytes
    reserve = replace(_attempt(state.price, bound, state.max_output_tokens), steps=1)
    for attempts in range(ATTEMPTS, 0, -1):
        amount = sum((_attempt(price, bound, output) for _ in range(attempts)), Amount())
        if state.budget.shortfall(amount + reserve) is None:
            return CompactionHeld(number, attempts, bound, output, amount)
    return None


@dataclass(frozen=True, slots=True)
class Bill:
    """What came of a request for a summary; `usage` is None where no bill came, `served` as in `settle_decision`."""

    replied: bool
    usage: Usage | None = None
    lost: Lost = field(default_factory=Lost)
    served: Price | None = None


def settle_compaction(state: RunState, held: CompactionHeld, price: Price | None, bill: Bill) -> CompactionSettled:
    """Returns the bill of a request for a summary, counted as that of a decision is, at the price of its model."""
    as_decision = DecisionHeld(0, held.attempts, held.input_tokens, held.max_output_tokens, held.amount)
    asked = replace(state, price=price, decision=as_decision)
    settled = settle_decision(asked, bill.usage, bill.lost, bill.replied, bill.served)
    return CompactionSettled(held.number, replace(settled.amount, steps=0), settled.usd_unbilled, bill.lost.attempts)


def _attempt(price: Price | None, input_tokens: int, output_tokens: int) -> Amount:
    usd = price.worst_case(input_tokens, output_tokens) if price else 0
    return Amount(model_calls=1, input_tokens=input_tokens, output_tokens=output_tokens, usd=usd)
