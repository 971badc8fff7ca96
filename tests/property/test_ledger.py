"""Whatever runs do, and in whatever order: a ledger never lets more through than its limits, and loses nothing."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from backstay.kernel.ledger import Asked, Books, Hold, Holder
from backstay.kernel.ledger_period import Period, day_span, keys_at, milliseconds, spans_around
from backstay.kernel.ledger_sums import NOW, RUNS, Limit, quantity_of

START = datetime(2026, 3, 28, 20, tzinfo=UTC)  # Berlin's clocks change in the night after
ZONES = [UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Apia")]
LIMITS = (
    Limit("tenant", "usd", Period.DAY, 50),
    Limit("tenant", "usd", Period.MONTH, 60),
    Limit("agent:a", "usd", Period.DAY, 40),
    Limit("tenant", RUNS, None, 4),
)

BELOW = (4, 5)
"""Runs below another one, which count with their agents alone."""
runs = st.integers(0, 5)
amounts = st.integers(0, 45)
steps = st.one_of(
    st.tuples(st.just("hold"), runs, st.integers(0, 2), amounts),
    st.tuples(st.just("settle"), runs, st.integers(0, 2), amounts),
    st.tuples(st.just("release"), runs, st.integers(0, 2), amounts),
    st.tuples(st.just("close"), runs, st.just(0), amounts),
    st.tuples(st.just("wait"), st.integers(1, 40), st.just(0), amounts),
)


def holder(run: int) -> Holder:
    return Holder(f"key-{run}", f"run-{run}", "execution", "ab"[run % 2], agent_only=run in BELOW)


def check(books: Books) -> None:
    held: Counter[tuple[str, str, str]] = Counter()
    for hold in books.holds.values():
        for account in () if hold.happened else hold.accounts:
            for quantity, amount in hold.amounts.items():
                for key in (NOW,) if quantity == RUNS else hold.keys.values():
                    held[account, quantity, key] += amount
    for account, quantities in books.sums.by_account.items():
        for quantity, sums in quantities.items():
            for key, one in sums.items():
                assert one.held == held[account, quantity, key]
                assert one.spent >= 0


@settings(max_examples=120, deadline=None)
@given(st.lists(steps, max_size=40), st.sampled_from(ZONES), st.integers(-20, 20))
def test_holds_and_spend_never_exceed_a_limit_and_equal_the_runs_own_books(
    ordered: list[tuple[str, int, int, int]], zone: ZoneInfo, ahead: int
) -> None:
    books, now, spent = Books("tenant"), START, Counter[tuple[str, str]]()

    def count(run: int, key: str, amount: int) -> None:
        for account in Books("tenant").accounts(holder(run), ("usd",)):
            spent[account, key] += amount

    for what, run, number, amount in ordered:
        ms, spans = milliseconds(now), spans_around(now + timedelta(hours=ahead), zone)
        name = f"key-{run}/{number}"
        if what == "wait":
            now += timedelta(hours=run)
        elif what == "hold":
            before = books
            books, answer = books.hold(Asked(name, holder(run), {"usd": amount, RUNS: 1}, LIMITS), spans, ms)
            if isinstance(answer, Hold) and name not in before.holds:
                assert answer.keys == keys_at(spans, ms)
                for limit in LIMITS:
                    if limit.account in answer.accounts:
                        used = books.sums.at(limit.account, limit.quantity, limit.key(answer.keys)).used
                        assert used <= limit.most
        elif what == "settle" and name in books.holds:
            real = min(amount, books.holds[name].amounts["usd"])
            count(run, books.holds[name].keys[Period.DAY], real)
            books = books.settle(name, {"usd": real})
            assert books.settle(name, {"usd": real}) is books
        elif what == "release":
            books = books.release(name)
        elif what == "close":
            mine = books.held_by(f"key-{run}", ["usd"])
            real = min(amount, sum(hold.amounts["usd"] for hold in mine))
            left = real
            for hold in sorted(mine, key=lambda one: one.at_ms):
                part = min(left, hold.amounts["usd"])
                count(run, hold.keys[Period.DAY], part)
                left -= part
            books = books.close(holder(run), {"usd": real}, spans, ms)
            assert books.close(holder(run), {"usd": real}, spans, ms) is books
        check(books)
    for (account, key), amount in spent.items():
        assert books.sums.at(account, "usd", key).spent == amount


@given(st.lists(st.tuples(runs, amounts), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_order_in_which_holds_are_settled_and_released_does_not_matter(
    wanted: list[tuple[int, int]], chance: object
) -> None:
    books, ms, spans = Books("tenant"), milliseconds(START), spans_around(START, UTC)
    for number, (run, amount) in enumerate(wanted):
        books, _ = books.hold(Asked(f"key-{run}/{number}", holder(run), {"usd": amount}, ()), spans, ms)
    ends = [(name, number % 3) for number, name in enumerate(books.holds)]
    mixed = list(ends)
    getattr(chance, "shuffle")(mixed)  # noqa: B009

    def ended(order: list[tuple[str, int]]) -> Books:
        after = books
        for name, how in order:
            after = after.release(name) if how == 0 else after.settle(name, {"usd": how * 20})
        return after

    assert (ended(ends).sums, ended(ends).ended) == (ended(mixed).sums, ended(mixed).ended)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)), st.sampled_from(ZONES), st.integers(-23, 23))
def test_every_moment_lies_in_one_day_and_one_month_also_by_a_clock_that_is_hours_off(
    moment: datetime, zone: ZoneInfo, off: int
) -> None:
    at = moment.replace(tzinfo=UTC)
    keys = keys_at(spans_around(at + timedelta(hours=off), zone), milliseconds(at))
    assert keys == {Period.DAY: f"{at.astimezone(zone):%Y-%m-%d}", Period.MONTH: f"{at.astimezone(zone):%Y-%m}"}


@given(st.dates(datetime(2020, 1, 1).date(), datetime(2035, 1, 1).date()), st.sampled_from(ZONES))
def test_a_day_has_between_22_and_26_hours(day: object, zone: ZoneInfo) -> None:
    assert isinstance(day, datetime | type(START.date()))
    span = day_span(day, zone)
    assert 22 <= (span.end_ms - span.start_ms) / 3_600_000 <= 26


@given(st.lists(st.tuples(runs, amounts), max_size=12))
def test_books_come_back_the_same_from_their_json(wanted: list[tuple[int, int]]) -> None:
    books, ms, spans = Books("tenant"), milliseconds(START), spans_around(START, UTC)
    for run, amount in wanted:
        books, _ = books.hold(Asked(f"key-{run}/0", holder(run), {"usd": amount, RUNS: 1}, LIMITS), spans, ms)
        if amount % 2:
            books = books.close(holder(run), {"usd": amount}, spans, ms)
    adapter = TypeAdapter(Books)
    assert adapter.validate_json(adapter.dump_json(books)) == books


@given(st.lists(st.tuples(runs, amounts, st.booleans()), max_size=12), st.integers(0, 60))
def test_forgetting_changes_no_sum_that_a_limit_may_still_ask_for(
    wanted: list[tuple[int, int, bool]], days: int
) -> None:
    books, ms, spans = Books("tenant"), milliseconds(START), spans_around(START, UTC)
    for number, (run, amount, ends) in enumerate(wanted):
        books, _ = books.hold(Asked(f"key-{run}/{number}", holder(run), {"usd": amount}, ()), spans, ms)
        if ends:
            books = books.settle(f"key-{run}/{number}", {"usd": amount})
    later = START + timedelta(days=days)
    keys = keys_at(spans_around(later, UTC), milliseconds(later))
    assert keys is not None
    forgot = books.forgetting(milliseconds(later))
    assert forgot.holds == books.holds
    assert all(forgot.sums.at("tenant", "usd", key) == books.sums.at("tenant", "usd", key) for key in keys.values())


METER = quantity_of("refunds")
ASKED_OF = (
    Limit("tenant", METER, Period.DAY, 20, group="finance"),
    Limit("tenant", METER, Period.MONTH, 30),
    Limit("agent:a", METER, Period.DAY, 15),
)
calls = st.one_of(
    st.tuples(st.just("hold"), runs, st.integers(0, 6), st.integers(0, 15)),
    st.tuples(st.just("agreed"), runs, st.integers(0, 6), st.integers(0, 15)),
    st.tuples(st.just("release"), runs, st.integers(0, 6), st.just(0)),
    st.tuples(st.just("close"), runs, st.just(0), st.just(0)),
    st.tuples(st.just("wait"), st.integers(1, 20), st.just(0), st.just(0)),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(calls, max_size=50), st.sampled_from(ZONES))
def test_meters_never_exceed_a_limit_but_up_to_a_sum_that_people_agreed_to_and_equal_the_shops_own_books(
    ordered: list[tuple[str, int, int, int]], zone: ZoneInfo
) -> None:
    books, now, shop = Books("tenant"), START, dict[str, tuple[int, str]]()
    for what, run, number, amount in ordered:
        ms, spans, name = milliseconds(now), spans_around(now, zone), f"key-{run}/meter-{number}-0"
        if what == "wait":
            now += timedelta(hours=run)
        elif what in ("hold", "agreed"):
            agreed = {METER: dict.fromkeys(Period, 28)} if what == "agreed" else {}
            before = books.holds.get(name)
            books, answer = books.hold(Asked(name, holder(run), {METER: amount}, ASKED_OF, agreed), spans, ms)
            if isinstance(answer, Hold) and answer is not before:
                shop[name] = answer.amounts[METER], answer.keys[Period.DAY]
                assert answer.amounts[METER] >= amount
                sums = {period: books.sums.at("tenant", METER, key).used for period, key in answer.keys.items()}
                assert answer.sums == {METER: sums}
                assert not amount or sums[Period.DAY] <= (28 if agreed else 20)
                assert not amount or sums[Period.MONTH] <= 30
                agents = books.sums.at("agent:a", METER, answer.keys[Period.DAY]).used
                assert not amount or run % 2 or agents <= 15
            elif isinstance(answer, Hold):
                assert answer.amounts[METER] >= amount, "asking again tells the same"
        elif what == "release" and name in books.holds:
            books = books.release(name)
            del shop[name]
        elif what == "close":
            mine = sum(amount for name, (amount, _) in shop.items() if name.startswith(f"key-{run}/"))
            books = books.close(holder(run), {METER: mine, "usd": 7}, spans, ms)
        check(books)
    done = Counter[str]()
    for amount, day in shop.values():
        done[day] += amount
    for day, amount in done.items():
        assert books.sums.at("tenant", METER, day).used == amount
