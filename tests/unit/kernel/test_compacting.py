"""Compacting: when it is time, which turns are meant, and what it holds and costs."""

from dataclasses import replace

import pytest

from backstay.kernel.budget import Amount, Limits
from backstay.kernel.compact_events import Compacted, CompactionHeld
from backstay.kernel.compacting import (
    Bill,
    Cut,
    TurnSize,
    open_compaction,
    settle_compaction,
    size_after,
    summarised,
    threshold,
    truncated,
)
from backstay.kernel.events import Admitted, ModelChanged
from backstay.kernel.price import Lost, Price, Tier, Usage
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Thresholds

PRICE = Price((Tier(0, 1_000_000, 1_000_000, 2_000_000),))
CHEAP = Price((Tier(0, 100_000, 100_000, 200_000),))
TURN = TurnSize(1_000, 200)


def running(context: int = 1_000, usd: int | None = None) -> RunState:
    """An admitted run whose last request and reply took so many tokens."""
    admitted = Admitted("clerk", "1", "t", None, "m", Limits(usd=usd), Thresholds(), PRICE, 100)
    return replace(RunState().after(admitted), context_tokens=context)


@pytest.mark.parametrize(
    ("window", "output", "at"),
    [(100_000, 1_000, 80_000), (10_000, 4_000, 6_000), (1_000, 2_000, 1)],
    ids=["a share of the window", "with room for a reply", "never nothing"],
)
def test_a_conversation_is_compacted_while_a_reply_still_fits(window: int, output: int, at: int) -> None:
    assert threshold(window, 80, output) == at


def test_the_last_turns_stay_verbatim_as_far_as_they_fit_half_of_the_room() -> None:
    assert summarised([TURN] * 10, 6_000, Cut()) == Cut(7, 7)


def test_what_would_gain_little_is_not_summarised() -> None:
    assert summarised([TURN] * 4, 6_000, Cut()) is None
    assert summarised([TURN] * 10, 6_000, Cut(6, 6)) is None


def test_truncating_leaves_results_out_before_whole_turns() -> None:
    assert truncated([TURN] * 10, 6_000, Cut()) == Cut(0, 6)
    assert truncated([TURN] * 20, 6_000, Cut()) == Cut(6, 16)


def test_the_last_turn_is_never_truncated() -> None:
    assert truncated([TURN], 10, Cut()) is None
    assert truncated([TURN, TURN], 10, Cut()) == Cut(1, 1)
    assert truncated([TURN, TURN], 10, Cut(1, 1)) is None


def test_what_is_left_is_counted_thin_and_whole() -> None:
    assert size_after([TURN] * 5, Cut(1, 3)) == 2 * 200 + 2 * 1_000


def test_a_summary_is_held_for_as_many_attempts_as_fit_beside_the_next_decision() -> None:
    held = open_compaction(running(), 1, PRICE, 100, 50)
    assert held == CompactionHeld(1, 3, 1_100, 50, Amount(0, 3, 0, 3_300, 150, 3_600))
    # One more decision of 1,100 tokens in and 100 out costs 1,300.
    assert open_compaction(running(usd=2_499), 1, PRICE, 100, 50) is None
    fits = open_compaction(running(usd=2_500), 1, PRICE, 100, 50)
    assert fits is not None
    assert fits.attempts == 1


def test_a_cheaper_model_is_held_at_its_own_price() -> None:
    held = open_compaction(running(), 1, CHEAP, 0, 0)
    assert held is not None
    assert held.amount.usd == 300
    free = open_compaction(running(), 1, None, 0, 0)
    assert free is not None
    assert free.amount.usd == 0


def test_a_summary_is_settled_at_its_bill_and_is_no_step() -> None:
    state = running()
    held = open_compaction(state, 1, CHEAP, 0, 100)
    assert held is not None
    state = state.after(held)
    assert state.budget.held == held.amount
    settled = settle_compaction(state, held, CHEAP, Bill(True, Usage(1_000, 100)))
    after = state.after(settled)
    assert after.budget.spent == Amount(0, 1, 0, 1_000, 100, 120)
    assert after.budget.holds == {}
    assert after.context_tokens == 1_000
    assert after.after(settled) == after


def test_a_lost_attempt_and_a_reply_without_a_bill_cost_their_hold() -> None:
    held = open_compaction(running(), 1, CHEAP, 0, 100)
    assert held is not None
    settled = settle_compaction(running(), held, CHEAP, Bill(True, None, Lost(1)))
    assert (settled.amount.model_calls, settled.amount.usd, settled.usd_unbilled) == (2, 240, 240)


def test_the_spend_stands_with_the_model_that_was_asked() -> None:
    state = running()
    held = open_compaction(state, 1, CHEAP, 0, 100)
    assert held is not None
    settled = settle_compaction(state, held, CHEAP, Bill(True, Usage(1_000, 100)))
    other = state.after(held).after(replace(settled, asked="nano"))
    assert other.spent_by == {"nano": settled.amount}
    changed = state.after(ModelChanged("mini", CHEAP, "fallback")).after(held).after(settled)
    assert changed.spent_by == {"mini": settled.amount}


def test_a_hold_that_does_not_fit_changes_nothing() -> None:
    state = running(usd=1)
    assert state.after(CompactionHeld(1, 1, 1, 1, Amount(usd=2))) == state


def test_the_bound_of_the_next_request_shrinks_with_the_conversation() -> None:
    event = Compacted(1, "truncated", 2, 9, "d", None, 1_000, 400)
    assert running().after(event).context_tokens == 400
