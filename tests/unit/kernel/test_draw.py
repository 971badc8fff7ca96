"""How much a run draws on ledgers, and when it must draw again."""

import pytest

from backstay.kernel.budget import Amount, Limits
from backstay.kernel.draw import (
    Paid,
    counted,
    first_draw,
    further,
    most_within,
    next_draw,
    spent_of,
    uncovered,
    unused,
    within_drawn,
)
from backstay.kernel.events import Admitted, CallEnded, CallHeld, CallOutcome, DecisionHeld, Drawn
from backstay.kernel.ledger_sums import RUNS
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Thresholds

DECISION = Amount(usd=30, input_tokens=400, output_tokens=100)


def state(usd: int | None = 1_000, tokens: int | None = 5_000, *drawn: int) -> RunState:
    after = RunState().after(Admitted("a", "1", "t", None, "m", Limits(usd=usd, tokens=tokens), Thresholds(), None, 10))
    for amount in drawn:
        after = after.after(Drawn("reserve-0", {"usd": amount}, {}))
    return after


def test_at_its_admission_a_run_holds_its_ceilings_and_itself() -> None:
    assert first_draw(state(), None, DECISION) == {"usd": 1_000, "tokens": 5_000, RUNS: 1}


@pytest.mark.parametrize(("lump", "usd"), [(100, 100), (10, 30), (5_000, 1_000)])
def test_in_lumps_a_run_holds_one_lump_or_its_first_decision_and_never_more_than_its_ceiling(
    lump: int, usd: int
) -> None:
    assert first_draw(state(), lump, DECISION)["usd"] == usd


def test_without_a_ceiling_a_run_holds_what_its_first_decision_may_take() -> None:
    assert first_draw(state(None, None), None, DECISION) == {"usd": 30, "tokens": 500, RUNS: 1}
    assert first_draw(state(None, None), 100, DECISION)["usd"] == 100


def test_a_run_that_draws_on_no_ledger_needs_nothing() -> None:
    assert uncovered(state(), Amount(usd=999)) == {}


def test_a_hold_beyond_what_was_drawn_needs_the_difference_in_money_and_in_tokens() -> None:
    one = state(1_000, None, 100).after(Drawn("reserve-1", {"tokens": 300}, {})).after(CallHeld("1-0", "pay", 0, 60))
    assert uncovered(one, Amount(usd=40, input_tokens=200, output_tokens=100)) == {}
    assert uncovered(one, Amount(usd=55, input_tokens=200, output_tokens=101)) == {"usd": 15, "tokens": 1}


def test_a_decision_needs_room_for_itself_and_for_a_last_answer_in_place_of_the_one_before() -> None:
    first = DecisionHeld(1, 1, 400, 100, Amount(usd=30, input_tokens=400, output_tokens=100), Amount(usd=9))
    assert further(state(), first).usd == 39
    second = DecisionHeld(2, 1, 500, 100, Amount(usd=35), Amount(usd=11))
    assert further(state().after(first), second).usd == 37
    assert further(state().after(first), DecisionHeld(2, 1, 500, 100, Amount(usd=9))).usd == 0


def test_the_next_draw_never_exceeds_what_the_ceilings_leave() -> None:
    assert next_draw(state(1_000, None, 950), 100, {"usd": 20}) == {"usd": 50}
    assert next_draw(state(1_000, None, 100, 200), 100, {"usd": 20}) == {"usd": 100}
    assert next_draw(state(1_000, None, 100), 100, {"usd": 250}) == {"usd": 250}
    assert next_draw(state(1_000, None, 100), None, {"usd": 20}) == {"usd": 900}
    assert next_draw(state(1_000, None, 950), 100, {"usd": 70}) == {"usd": 50}
    assert next_draw(state(1_000, None, 1_000), 100, {"usd": 20}) == {}


def test_tokens_are_drawn_up_to_their_ceiling_whatever_the_lump_is() -> None:
    one = state().after(Drawn("reserve-0", {"usd": 100, "tokens": 4_000}, {}))
    assert next_draw(one, 10, {"tokens": 1}) == {"tokens": 1_000}


def test_unused_is_what_was_drawn_and_is_neither_spent_nor_held() -> None:
    assert unused(state()) == 0
    assert unused(state(1_000, None, 100)) == 100
    assert unused(state(1_000, None, 100).after(CallHeld("1-0", "pay", 0, 60))) == 40


@pytest.mark.parametrize(
    ("room", "taken"),
    [(0, 0), (9, 0), (19, 10), (20, 20), (29, 20), (35, 30), (40, 40), (54, 40), (55, 55), (99, 55)],
)
def test_calls_take_what_a_room_suffices_for_in_their_order_with_fewer_attempts_if_need_be(
    room: int, taken: int
) -> None:
    calls = [Paid(20, 1), Paid(0, 3), Paid(10, 2), Paid(15, 1)]
    assert sum(call.usd for call in calls) == 55
    assert most_within(room, calls) == taken


def test_what_a_run_has_left_is_what_ledgers_hold_for_it_within_its_own_limits() -> None:
    assert within_drawn(state()) == state()
    limits = within_drawn(
        state(50, None).after(Drawn("reserve-0", {"usd": 100, "tokens": 7, RUNS: 1}, {}))
    ).budget.limits
    assert (limits.usd, limits.tokens) == (50, 7)


def test_ledgers_count_money_and_tokens() -> None:
    assert counted(DECISION) == {"usd": 30, "tokens": 500}


def test_what_a_run_still_holds_may_have_been_spent() -> None:
    one = state(1_000, None, 100).after(CallHeld("1-0", "pay", 0, 60)).after(CallHeld("1-1", "pay", 0, 5))
    one = one.after(CallEnded("1-0", "pay", CallOutcome.COMPLETED, 20))
    assert spent_of(one) == {"usd": 25, "tokens": 0}


def test_a_run_tells_its_ledgers_of_the_meters_that_they_count_what_happened_or_may_have() -> None:
    one = state(1_000, None, 100).after(CallHeld("1-0", "pay", 0, 0, {"refunds": 9, "vouchers": 1}))
    one = one.after(CallHeld("1-1", "pay", 0, 0, {"refunds": 5}))
    one = one.after(CallEnded("1-0", "pay", CallOutcome.COMPLETED))
    assert spent_of(one, ["refunds", "deleted"], draws=False) == {"exposure:refunds": 14, "exposure:deleted": 0}
    assert spent_of(one, ["vouchers"]) == {"usd": 0, "tokens": 0, "exposure:vouchers": 1}
