"""Runs that wait in a ledger: who goes on, and who waits at which place."""

from dataclasses import replace

import pytest

from backstay.kernel.ledger import FULL, Books, Hold, Holder, Waiter
from backstay.kernel.ledger_queue import AtWork, Look, Place, at_once, joined, let_in, looked_after, next_in_line, place
from backstay.kernel.ledger_sums import NOW, RUNS, Limit, Sum

TWO = Limit("tenant", RUNS, None, 2)
ONE_CLERK = Limit("agent:clerk", RUNS, None, 1)
EMPTY = Books("tenant", counted=True)


def waiter(number: int, agent: str = "clerk") -> Waiter:
    return Waiter(Holder(f"key-{number}", f"run-{number}", "execution", agent), "agents", number)


def asking(books: Books, *waiters: Waiter, limits: tuple[Limit, ...] = (TWO,)) -> Books:
    for one in waiters:
        books = joined(books, one, limits)
    return books


def going(books: Books) -> tuple[Books, list[str]]:
    """Lets in whoever there is room for, and returns who that is."""
    after, held = let_in(books, 5)
    return after, [hold.holder.workflow_id for hold in held]


def look(*over: str, at_work: AtWork | None = None, room: dict[str, tuple[Limit, ...]] | None = None) -> Look:
    return Look(frozenset(over), at_work, room or {})


def test_as_many_as_there_is_room_for_go_on_in_the_order_of_their_starts() -> None:
    books, went = going(asking(EMPTY, waiter(3), waiter(1), waiter(2)))
    assert went == ["run-1", "run-2"]
    assert books.sums.at("tenant", RUNS, NOW) == Sum(held=2)
    assert place(books, waiter(3)) == Place(1, "runs_at_once:tenant", 2)


def test_whoever_asks_again_keeps_what_it_has() -> None:
    books, _ = going(asking(EMPTY, waiter(1), waiter(2), waiter(3)))
    again, went = going(asking(books, waiter(1), waiter(3)))
    assert (again, went) == (books, [])


def test_of_very_many_runs_the_last_wait_unremembered_and_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backstay.kernel.ledger_queue.MOST_WAITING", 1)
    books = EMPTY
    for number in (1, 2, 3):
        books, _ = going(asking(books, waiter(number)))
    assert asking(books, waiter(4)) is books
    assert place(books, waiter(4)) == Place(2, "runs_at_once:tenant", 2)
    assert asking(books, waiter(3)) == books
    books, went = going(books.left("key-1"))
    assert (went, list(asking(books, waiter(4)).waiting)) == (["run-3"], [waiter(4).id])


def test_full_books_let_nobody_in_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backstay.kernel.ledger_queue.MOST_HOLDS", 1)
    books, went = going(asking(EMPTY, waiter(1), waiter(2)))
    assert (went, place(books, waiter(2))) == (["run-1"], Place(1, FULL, 1))
    assert going(books.left("key-1"))[1] == ["run-2"]


def test_the_place_of_a_run_is_counted_from_one_by_the_starts() -> None:
    books, _ = going(asking(EMPTY, *(waiter(number) for number in (5, 1, 2, 4, 3))))
    assert [place(books, waiter(number)).number for number in (3, 4, 5)] == [1, 2, 3]
    assert [one.started_us for one in next_in_line(books, 2)] == [3, 4]


def test_a_run_that_ends_makes_room_and_one_that_ends_while_it_waits_none() -> None:
    books, _ = going(asking(EMPTY, *(waiter(number) for number in (1, 2, 3, 4))))
    books, went = going(books.close(waiter(3).holder, {}, (), 9))
    assert went == []
    books, went = going(books.left("key-1"))
    assert (went, dict(books.waiting)) == (["run-4"], {})
    assert books.left("key-1") is books


def test_the_strictest_limit_holds_and_is_named() -> None:
    books, went = going(asking(EMPTY, waiter(1), waiter(2), limits=(TWO, ONE_CLERK)))
    assert went == ["run-1"]
    assert place(books, waiter(2)) == Place(1, "runs_at_once:agent", 1)


def test_a_run_that_waits_for_its_agents_limit_keeps_no_run_of_another_agent() -> None:
    books = asking(EMPTY, waiter(1), waiter(2), limits=(TWO, ONE_CLERK))
    books, went = going(asking(books, waiter(3, "writer")))
    assert went == ["run-1", "run-3"]
    books, went = going(asking(books.left("key-3"), waiter(4, "writer")))
    assert went == ["run-4"]
    assert going(books.left("key-1"))[1] == ["run-2"]


def test_a_limit_that_is_raised_or_taken_away_lets_runs_go_on_and_a_lowered_one_ends_none() -> None:
    books, _ = going(asking(EMPTY, *(waiter(number) for number in (1, 2, 3, 4, 5))))
    three, one = (replace(TWO, most=most) for most in (3, 1))
    books, went = going(looked_after(books, look(room={"agents clerk": (three,), "agents gone": ()}), 7))
    assert (went, list(books.room)) == (["run-3"], ["agents clerk"])
    books, went = going(looked_after(books, look(room={"agents clerk": (one,)}), 7))
    assert (went, len(at_once(books))) == ([], 3)
    books, went = going(looked_after(books, look(room={"agents clerk": ()}), 7))
    assert (went, books.room) == (["run-4", "run-5"], {})


def test_nobody_goes_on_before_it_is_known_who_does_already() -> None:
    books, went = going(asking(Books("tenant"), waiter(4), waiter(5)))
    assert (went, place(books, waiter(5))) == ([], Place(2))
    before = (waiter(1).holder, waiter(4).holder)
    books, went = going(looked_after(books, look(at_work=AtWork(before)), 7))
    assert went == ["run-4"]
    assert [hold.holder.key for hold in at_once(books)] == ["key-1", "key-4"]


def test_full_books_count_nobody_more_and_let_nobody_in_until_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backstay.kernel.ledger_queue.MOST_HOLDS", 3)
    running = AtWork(tuple(waiter(number).holder for number in (1, 2, 3, 4)))
    books, went = going(looked_after(asking(Books("tenant"), waiter(9)), look(at_work=running), 7))
    assert (len(books.holds), books.counted, went, place(books, waiter(9)).limit) == (3, False, [], FULL)
    left = replace(running, running=running.running[2:])
    books, went = going(looked_after(books, look("key-1", "key-2", at_work=left), 7))
    assert ([hold.holder.key for hold in at_once(books)], books.counted, went) == (["key-3", "key-4"], True, [])


def test_a_run_that_its_first_draw_counted_is_counted_once_and_one_that_closed_not_at_all() -> None:
    drawn = Hold("key-1/reserve-0", waiter(1).holder, {RUNS: 1, "usd": 5}, ("tenant",), {}, 1)
    books = replace(Books("tenant").restored(drawn, ()), ended={"key-2": 9})
    after = looked_after(books, look(at_work=AtWork((waiter(1).holder, waiter(2).holder))), 7)
    assert (after.sums.at("tenant", RUNS, NOW), after.counted) == (Sum(held=1), True)


def test_those_who_are_over_make_room_and_those_that_are_gone_wait_no_more() -> None:
    books, _ = going(asking(EMPTY, *(waiter(number) for number in (1, 2, 3, 4))))
    books, went = going(looked_after(books, look("key-1", "key-3"), 7))
    assert went == ["run-4"]


def test_once_nobody_runs_or_waits_who_goes_on_is_found_out_anew() -> None:
    books, _ = going(asking(EMPTY, waiter(1)))
    assert books.counted
    assert not going(books.left("key-1"))[0].counted
