"""The books of a ledger: holds, what becomes of them, and what is remembered."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backstay.kernel.ledger import CLOCK, CLOSED, FULL, Asked, Books, Hold, Holder, Spender, Waiter
from backstay.kernel.ledger_period import Period, milliseconds, spans_around
from backstay.kernel.ledger_queue import let_in
from backstay.kernel.ledger_sums import NOW, RUNS, Excess, Limit, Sum, quantity_of

NIGHT = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
DAY = Limit("tenant", "usd", Period.DAY, 100)
AGENT = Limit("agent:clerk", "usd", Period.DAY, 1_000)
FIRST = Holder("key-1", "run-1", "execution-1", "clerk")
SECOND = Holder("key-2", "run-2", "execution-2", "writer")


def asked(usd: int, holder: Holder = FIRST, name: str = "draw-0", limits: tuple[Limit, ...] = (DAY,)) -> Asked:
    return Asked(f"{holder.key}/{name}", holder, {"usd": usd, RUNS: 1}, limits)


def held(books: Books, one: Asked, at: datetime = NIGHT) -> Books:
    after, answer = books.hold(one, spans_around(at, UTC), milliseconds(at))
    assert isinstance(answer, Hold), answer
    return after


def refused(books: Books, one: Asked, at: datetime = NIGHT) -> Excess:
    after, answer = books.hold(one, spans_around(at, UTC), milliseconds(at))
    assert isinstance(answer, Excess)
    assert after is books
    return answer


def closed(books: Books, holder: Holder, usd: int, at: datetime = NIGHT) -> Books:
    return books.close(holder, {"usd": usd}, spans_around(at, UTC), milliseconds(at))


def day(books: Books, key: str = "2026-11-30", account: str = "tenant") -> Sum:
    return books.sums.at(account, "usd", key)


EMPTY = Books("tenant")


def test_what_does_not_fit_is_refused_with_the_level_named() -> None:
    books = held(EMPTY, asked(60))
    assert refused(books, asked(41, SECOND)) == Excess("usd:tenant:day", 41, 40)
    assert day(held(books, asked(40, SECOND))) == Sum(0, 100)


def test_the_same_id_gets_its_own_hold_again_whatever_the_limits_are_by_then() -> None:
    books = held(EMPTY, asked(60))
    stricter = Limit("tenant", "usd", Period.DAY, 1)
    after, answer = books.hold(asked(60, limits=(stricter,)), spans_around(NIGHT, UTC), milliseconds(NIGHT) + 5_000)
    assert (after, answer) == (books, books.holds["key-1/draw-0"])


def test_the_same_id_that_asks_for_more_is_held_anew_where_there_is_room() -> None:
    books = held(held(EMPTY, asked(60)), asked(20, SECOND))
    assert refused(books, asked(81)) == Excess("usd:tenant:day", 81, 80)
    more = held(books, asked(80))
    assert (day(more), more.holds["key-1/draw-0"].amounts["usd"]) == (Sum(0, 100), 80)
    assert held(more, asked(10)) is more, "what is held already may have been spent"


def test_an_agent_has_an_account_of_its_own_within_the_tenant_and_none_in_the_organisation() -> None:
    books = held(EMPTY, asked(60, limits=(DAY, AGENT)))
    assert day(books, account="agent:clerk") == Sum(0, 60)
    assert Books("organisation").accounts(FIRST, ("usd",)) == ("organisation",)


BELOW = Holder("key-9", "run-9", "execution-9", "clerk", agent_only=True)


def test_a_run_below_another_one_counts_with_its_agent_alone() -> None:
    books = held(held(EMPTY, asked(60, SECOND)), asked(20, BELOW, limits=(AGENT,)))
    assert (day(books), day(books, account="agent:clerk")) == (Sum(0, 60), Sum(0, 20))
    after = closed(books, BELOW, 15)
    assert (day(after), day(after, account="agent:clerk")) == (Sum(0, 60), Sum(15, 0))
    assert after.top == {}, "the run above shows the money"
    assert closed(after, BELOW, 15) is after


def test_what_a_run_below_another_one_spent_without_a_hold_counts_with_its_agent_alone_too() -> None:
    refunds = quantity_of("refunds")
    spent = {"usd": 15, refunds: 7}
    after = EMPTY.close(BELOW, spent, spans_around(NIGHT, UTC), milliseconds(NIGHT))
    assert (day(after), day(after, account="agent:clerk")) == (Sum(), Sum(15, 0))
    assert after.sums.at("tenant", refunds, "2026-11-30") == Sum(7, 0)
    whole = Books("organisation").close(BELOW, spent, spans_around(NIGHT, UTC), milliseconds(NIGHT))
    assert day(whole, account="organisation") == Sum()
    assert whole.sums.at("organisation", refunds, "2026-11-30") == Sum(7, 0)


def test_the_meters_of_a_run_below_another_one_count_on_every_level() -> None:
    assert EMPTY.accounts(BELOW, (quantity_of("refunds"),)) == ("tenant", "agent:clerk")
    assert Books("organisation").accounts(BELOW, ("usd",)) == ()


def test_a_hold_of_one_minute_to_midnight_counts_where_it_was_made() -> None:
    books = held(EMPTY, asked(60))
    after = closed(books, FIRST, 50, NIGHT + timedelta(minutes=2))
    assert (day(after), day(after, "2026-12-01")) == (Sum(50, 0), Sum())


def test_what_was_spent_above_the_hold_counts_and_blocks_what_follows() -> None:
    books = held(EMPTY, asked(60)).settle("key-1/draw-0", {"usd": 140})
    assert day(books) == Sum(140, 0)
    assert refused(books, asked(0, SECOND)) == Excess("usd:tenant:day", 0, -40)


def test_settling_twice_or_what_was_never_held_changes_nothing() -> None:
    books = held(EMPTY, asked(60)).settle("key-1/draw-0", {"usd": 10})
    assert books.settle("key-1/draw-0", {"usd": 10}) is books
    assert books.settle("key-2/draw-0", {"usd": 10}) is books


def test_a_hold_that_was_settled_is_not_made_again() -> None:
    books = held(EMPTY, asked(60)).settle("key-1/draw-0", {"usd": 10})
    assert refused(books, asked(60)) == Excess(CLOSED, 0, 0)


def test_a_hold_that_was_released_may_be_made_again() -> None:
    books = held(EMPTY, asked(60)).release("key-1/draw-0")
    assert (day(books), books.ended) == (Sum(), {})
    assert day(held(books, asked(70))) == Sum(0, 70)
    assert books.release("key-1/draw-0") == books


def test_what_an_attempt_gives_back_is_kept_where_a_later_one_has_asked_for_it() -> None:
    books = held(EMPTY, replace(asked(60), attempt=5))
    again = held(books, replace(asked(60), attempt=7))
    assert held(again, replace(asked(60), attempt=6)) is again
    assert again.release("key-1/draw-0", 6) is again
    more = held(again, replace(asked(70), attempt=6))
    assert more.release("key-1/draw-0", 6) is more
    for attempt in (7, None):
        assert day(more.release("key-1/draw-0", attempt)) == Sum()


def test_a_run_that_closed_holds_nothing_more() -> None:
    books = closed(held(EMPTY, asked(60)), FIRST, 10)
    assert refused(books, asked(5, name="draw-1")) == Excess(CLOSED, 0, 0)
    assert closed(books, FIRST, 10) is books
    assert list(books.ended) == [FIRST.key]


def test_the_runs_at_once_are_those_that_have_not_closed() -> None:
    books = held(held(EMPTY, asked(10)), asked(10, SECOND))
    assert books.sums.at("tenant", RUNS, NOW).held == 2
    assert closed(books, FIRST, 0).sums.at("tenant", RUNS, NOW).held == 1


def test_a_run_that_drew_twice_settles_each_draw_in_its_own_day() -> None:
    books = held(EMPTY, asked(30))
    books = held(books, asked(30, name="draw-1"), NIGHT + timedelta(minutes=2))
    after = closed(books, FIRST, 45, NIGHT + timedelta(minutes=5))
    assert (day(after), day(after, "2026-12-01")) == (Sum(30, 0), Sum(15, 0))


def test_what_exceeds_all_draws_counts_with_the_last() -> None:
    books = held(EMPTY, asked(30))
    books = held(books, asked(30, name="draw-1"), NIGHT + timedelta(minutes=2))
    after = closed(books, FIRST, 75, NIGHT + timedelta(minutes=5))
    assert (day(after), day(after, "2026-12-01")) == (Sum(30, 0), Sum(45, 0))


def test_closing_leaves_what_is_held_of_other_quantities() -> None:
    exposure = Asked("key-1/2-0", FIRST, {"exposure:refunds_usd": 500}, ())
    books = closed(held(held(EMPTY, asked(30)), exposure), FIRST, 10)
    assert list(books.holds) == ["key-1/2-0"]
    assert books.settle("key-1/2-0", {"exposure:refunds_usd": 500}).holds == {}


def test_a_run_without_a_hold_counts_when_it_closes() -> None:
    books = closed(EMPTY, FIRST, 25)
    assert (day(books), books.ends["2026-11-30"]) == (Sum(25, 0), milliseconds(datetime(2026, 12, 1, tzinfo=UTC)))
    assert day(closed(books, FIRST, 25)) == Sum(25, 0)
    assert day(closed(EMPTY, FIRST, 0)) == Sum()


def test_nothing_is_held_by_a_clock_that_is_days_off() -> None:
    far = spans_around(NIGHT + timedelta(days=40), UTC)
    assert EMPTY.hold(asked(1), far, milliseconds(NIGHT)) == (EMPTY, Excess(CLOCK, 0, 0))
    assert EMPTY.close(FIRST, {"usd": 1}, far, milliseconds(NIGHT)) is EMPTY


def test_a_clock_that_is_hours_ahead_counts_in_the_ledgers_own_day() -> None:
    books, _ = EMPTY.hold(asked(10), spans_around(NIGHT + timedelta(hours=5), UTC), milliseconds(NIGHT))
    assert day(books) == Sum(0, 10)


def test_a_share_of_a_limit_is_warned_of_once() -> None:
    books, first = EMPTY.hold(asked(80), spans_around(NIGHT, UTC), milliseconds(NIGHT))
    assert isinstance(first, Hold)
    assert [(one.name, one.percent, one.used) for one in first.crossed] == [("usd:tenant:day", 80, 80)]
    _, second = books.hold(asked(10, SECOND), spans_around(NIGHT, UTC), milliseconds(NIGHT))
    assert isinstance(second, Hold)
    assert second.crossed == ()


def test_the_runs_that_spent_most_are_known() -> None:
    books = EMPTY
    for number in range(12):
        holder = Holder(f"key-{number}", f"run-{number}", "execution", "clerk")
        books = held(books, asked(5, holder))
        books = books.settle(f"key-{number}/draw-0", {"usd": number})
    books = held(books, asked(5, Holder("key-11", "run-11", "execution", "clerk"), "draw-1"))
    books = books.settle("key-11/draw-1", {"usd": 4})
    top = books.top["2026-11-30"]
    assert (len(top), top[0]) == (10, Spender("run-11", "clerk", 15))
    assert top == books.top["2026-11"]


def test_past_periods_and_ended_holds_are_forgotten_a_day_later() -> None:
    books = closed(held(EMPTY, asked(80)), FIRST, 50)
    midnight = milliseconds(datetime(2026, 12, 1, tzinfo=UTC))
    early, late = books.forgetting(midnight + 86_399_999), books.forgetting(midnight + 86_400_000)
    assert early == books
    assert (late.ended, late.warned, late.ends, dict(late.top)) == ({}, frozenset(), {}, {})
    assert day(late) == Sum()


def test_nothing_is_forgotten_of_a_period_in_which_something_is_held() -> None:
    books = held(EMPTY, asked(80))
    late = books.forgetting(milliseconds(NIGHT) + 40 * 86_400_000)
    assert (day(late), late.ends) == (Sum(0, 80), books.ends)


def test_what_a_history_holds_is_taken_up_whatever_the_limits_are() -> None:
    hold = held(EMPTY, asked(80)).holds["key-1/draw-0"]
    spans = spans_around(NIGHT, UTC)
    books = held(EMPTY, asked(90, SECOND)).restored(hold, spans)
    assert day(books) == Sum(0, 170)
    assert books.restored(hold, spans) is books
    for over in (books.settle(hold.id, {}), closed(books, FIRST, 0)):
        assert over.restored(hold, spans) is over


REFUNDS, VOUCHERS = quantity_of("refunds"), quantity_of("vouchers")
REFUNDED = Limit("tenant", REFUNDS, Period.DAY, 100)


def counting(amount: int, name: str = "meter-1-0", holder: Holder = FIRST, **more: Any) -> Asked:
    return Asked(f"{holder.key}/{name}", holder, {REFUNDS: amount}, (REFUNDED,), **more)


def test_a_hold_of_a_meter_tells_the_sums_with_it_and_asking_again_tells_the_same() -> None:
    books = held(held(EMPTY, counting(60)), counting(30, holder=SECOND))
    assert books.holds["key-2/meter-1-0"].sums == {REFUNDS: {Period.DAY: 90, Period.MONTH: 90}}
    after, again = books.hold(counting(60), spans_around(NIGHT, UTC), milliseconds(NIGHT))
    assert isinstance(again, Hold)
    assert (after, again.sums) == (books, {REFUNDS: {Period.DAY: 60, Period.MONTH: 60}})
    assert held(EMPTY, asked(60)).holds["key-1/draw-0"].sums == {}


def test_a_refusal_tells_what_the_sums_would_be() -> None:
    books = held(EMPTY, counting(60))
    answer = refused(books, counting(41, holder=SECOND))
    assert (answer.name, answer.left) == ("exposure:refunds:tenant:day", 40)
    assert answer.sums == {REFUNDS: {Period.DAY: 101, Period.MONTH: 101}}


def test_a_sum_that_people_agreed_to_lets_a_hold_above_the_limit() -> None:
    limit = replace(REFUNDED, group="finance")
    above = replace(counting(101), limits=(limit,))
    assert refused(EMPTY, above).groups == ("finance",)
    held(EMPTY, replace(above, agreed={REFUNDS: {Period.DAY: 101}}))


def test_a_limit_of_two_levels_is_warned_of_once() -> None:
    stricter = replace(REFUNDED, most=90)
    books = held(EMPTY, replace(counting(85), limits=(REFUNDED, stricter)))
    assert len(books.holds["key-1/meter-1-0"].crossed) == 1


def test_a_run_that_closes_settles_what_each_hold_is_of_in_its_own_day() -> None:
    both = Asked("key-1/meter-2-0", FIRST, {REFUNDS: 5, VOUCHERS: 1}, ())
    books = held(held(EMPTY, asked(60)), counting(30))
    books = held(books, both, NIGHT + timedelta(minutes=2))
    spent = {"usd": 70, "tokens": 9, REFUNDS: 35, VOUCHERS: 1}
    after = books.close(FIRST, spent, spans_around(NIGHT, UTC), milliseconds(NIGHT))
    assert after.holds == {}
    sums = {
        (quantity, key): after.sums.at("tenant", quantity, key).used
        for quantity in ("usd", "tokens", REFUNDS, VOUCHERS)
        for key in ("2026-11-30", "2026-12-01")
    }
    assert {name: used for name, used in sums.items() if used} == {
        ("usd", "2026-11-30"): 70,
        (REFUNDS, "2026-11-30"): 30,
        (REFUNDS, "2026-12-01"): 5,
        (VOUCHERS, "2026-12-01"): 1,
    }


def test_what_a_run_does_not_know_of_since_it_was_reset_counts_as_if_it_had_happened() -> None:
    books = held(held(EMPTY, counting(60)), counting(25, "meter-2-0"))
    after = books.close(FIRST, {REFUNDS: 25}, spans_around(NIGHT, UTC), milliseconds(NIGHT))
    assert (after.holds, after.sums.at("tenant", REFUNDS, "2026-11-30")) == ({}, Sum(85, 0))
    after = books.close(FIRST, {REFUNDS: 90}, spans_around(NIGHT, UTC), milliseconds(NIGHT))
    assert after.sums.at("tenant", REFUNDS, "2026-11-30") == Sum(90, 0)


def test_a_call_that_happened_is_spent_with_the_next_that_its_run_asks_for_also_where_that_is_refused() -> None:
    books = held(held(EMPTY, counting(60)), counting(25, holder=SECOND))
    told = ("key-1/meter-1-0", "key-2/meter-1-0", "key-1/unknown")
    after = held(books, counting(5, "meter-2-0", happened=told))
    assert after.sums.at("tenant", REFUNDS, "2026-11-30") == Sum(60, 30)
    again, answer = books.hold(counting(500, "meter-2-0", happened=told), spans_around(NIGHT, UTC), milliseconds(NIGHT))
    assert (isinstance(answer, Excess), again.sums.at("tenant", REFUNDS, "2026-11-30")) == (True, Sum(60, 25))
    for over in (after.release("key-1/meter-1-0"), after.settle("key-1/meter-1-0", {})):
        assert over is after, "what happened is not taken back"
    closed_one = after.close(FIRST, {REFUNDS: 65}, spans_around(NIGHT, UTC), milliseconds(NIGHT))
    assert closed_one.sums.at("tenant", REFUNDS, "2026-11-30") == Sum(65, 25)
    assert list(closed_one.holds) == ["key-2/meter-1-0"]


def test_full_books_hold_nothing_more_until_something_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backstay.kernel.ledger.MOST_HOLDS", 2)
    books = held(held(EMPTY, asked(10)), asked(10, SECOND))
    third = Holder("key-3", "run-3", "execution-3", "clerk")
    assert refused(books, asked(10, third)) == Excess(FULL, 0, 0)
    assert held(books, asked(10)) is books, "what is held already is no further hold"
    assert day(held(books, asked(20))) == Sum(0, 30), "and nor is more in its place"
    assert day(held(closed(books, FIRST, 5), asked(10, third))) == Sum(5, 20)


def test_of_very_many_ended_runs_the_latest_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backstay.kernel.ledger.MOST_ENDED", 2)
    books = EMPTY
    for number in range(4):
        holder = Holder(f"key-{number}", f"run-{number}", "execution", "clerk")
        books = closed(held(books, asked(5, holder)), holder, number)
    after = books.forgetting(milliseconds(NIGHT))
    assert (list(after.ended), day(after)) == (["key-2", "key-3"], Sum(6, 0))


def test_the_place_of_a_run_among_those_at_once_can_be_settled_like_any_hold() -> None:
    waiter = Waiter(FIRST, "agents", 0)
    books, [hold] = let_in(replace(EMPTY, waiting={waiter.id: waiter}, counted=True), milliseconds(NIGHT))
    after = books.settle(hold.id, {"usd": 5})
    assert (after.holds, after.sums.at("tenant", RUNS, NOW)) == ({}, Sum())


def test_a_run_that_held_no_more_than_its_place_counts_what_it_spent_once_it_is_found_closed() -> None:
    waiter = Waiter(FIRST, "agents", 0)
    books, _ = let_in(replace(EMPTY, waiting={waiter.id: waiter}, counted=True), milliseconds(NIGHT))
    after = closed(books, FIRST, 25)
    assert (day(after), after.sums.at("tenant", RUNS, NOW), after.holds) == (Sum(25, 0), Sum(), {})
