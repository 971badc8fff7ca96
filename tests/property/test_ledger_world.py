"""Runs crash, are reset and close, on clocks that differ: the sums of a ledger are those of the shop's own books.

What a run or a reset leaves unknown counts as if it had happened; nothing else does.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.kernel.ledger import Asked, Books, Hold, Holder
from backstay.kernel.ledger_period import Period, Span, day_span, milliseconds, spans_around
from backstay.kernel.ledger_sums import Limit, quantity_of

REFUNDS = quantity_of("refunds")
LIMITS = (
    Limit("tenant", REFUNDS, Period.DAY, 20),
    Limit("tenant", REFUNDS, Period.MONTH, 21),
    Limit("agent:a", REFUNDS, Period.DAY, 15),
)
# The clocks change forwards and back in the night after the first two, and the third begins a month and a year.
STARTS = st.sampled_from(
    [
        datetime(2026, 3, 28, 20, tzinfo=UTC),
        datetime(2026, 10, 24, 20, tzinfo=UTC),
        datetime(2026, 12, 31, 20, tzinfo=UTC),
    ]
)
ZONES = st.sampled_from([UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Apia")])


@dataclass(slots=True)
class Run:
    """A run: the calls that it knows of by name, all that its histories hold, and how it ended."""

    holder: Holder
    known: dict[str, int] = field(default_factory=dict[str, int])
    history: dict[str, Hold] = field(default_factory=dict[str, Hold])
    ended: bool = False
    told: bool = False


@dataclass(slots=True)
class World:
    """Runs, their ledger, two clocks, and the shop's own books: each call that happened, or may have, and its day."""

    now: datetime
    zone: ZoneInfo
    ahead: timedelta = timedelta(0)
    books: Books = field(default_factory=lambda: Books("tenant"))
    shop: dict[str, tuple[int, str, str]] = field(default_factory=dict[str, tuple[int, str, str]])
    happened: set[str] = field(default_factory=set[str])
    runs: list[Run] = field(
        default_factory=lambda: [Run(Holder(f"key-{n}", f"run-{n}", "execution", "ab"[n % 2])) for n in range(4)]
    )

    @property
    def ms(self) -> int:
        """The ledger's clock."""
        return milliseconds(self.now)

    def spans(self) -> tuple[Span, ...]:
        """The days and months around the worker's clock."""
        return spans_around(self.now + self.ahead, self.zone)

    def asks(self, run: Run, place: int, amount: int) -> None:
        """Asks for a call; the answer is lost on the way now and then, and then it is asked for again."""
        if run.ended:
            return
        name = f"{run.holder.key}/meter-{place}-0-{amount}"
        asked = Asked(name, run.holder, {REFUNDS: amount}, LIMITS, {}, tuple(self.happened), attempt=1)
        self.books, lost = self.books.hold(asked, self.spans(), self.ms)
        self.books, answer = self.books.hold(asked, self.spans(), self.ms)
        assert type(lost) is type(answer)
        self.books = self.books.release(name, 0)  # by a worker that stood still: it takes nothing away
        if isinstance(answer, Hold):
            day = answer.keys[Period.DAY]
            if name not in self.shop:
                assert day == f"{self.now.astimezone(self.zone):%Y-%m-%d}"
                self.within_limits(answer)
            self.shop[name] = amount, day, run.holder.agent
            run.known[name], run.history[name] = amount, answer

    def within_limits(self, hold: Hold) -> None:
        for limit in LIMITS:
            if limit.account in hold.accounts and limit.period is not None and hold.amounts[REFUNDS]:
                assert self.books.sums.at(limit.account, REFUNDS, hold.keys[limit.period]).used <= limit.most

    def refuses(self, run: Run, place: int, amount: int) -> None:
        """The last call of a run does not happen: it is given back."""
        if run.known and not run.ended:
            name = next(reversed(run.known))
            del run.known[name]
            if name not in self.happened:
                del run.history[name], self.shop[name]
            self.books = self.books.release(name)

    def performs(self, run: Run, place: int, amount: int) -> None:
        """The last call of a run happens: its ledger is told with the next call that is asked for."""
        if run.known and not run.ended:
            self.happened.add(next(reversed(run.known)))

    def resets(self, run: Run, place: int, amount: int) -> None:
        """An operator takes a run back: it forgets its later calls, which the shop does not."""
        if not run.ended:
            run.known = dict(list(run.known.items())[:place])

    def closes(self, run: Run, place: int, amount: int) -> None:
        if not run.ended:
            run.ended = True
            self.tells(run)

    def dies(self, run: Run, place: int, amount: int) -> None:
        """A run is terminated and tells nobody; a sweep finds it later."""
        run.ended = True

    def sweeps(self, run: Run, place: int, amount: int) -> None:
        for one in self.runs:
            if one.ended and not one.told:
                self.tells(one)

    def tells(self, run: Run) -> None:
        run.told = True
        for _ in range(2):  # a signal may come twice
            self.books = self.books.close(run.holder, {REFUNDS: sum(run.known.values())}, self.spans(), self.ms)

    def loses(self, run: Run, place: int, amount: int) -> None:
        """The ledger is terminated: its next one reads the histories of the runs."""
        self.books = Books("tenant")
        for one in self.runs:
            for hold in one.history.values():
                made = datetime.fromtimestamp(hold.at_ms / 1000, UTC)
                self.books = self.books.restored(hold, spans_around(made, self.zone))
            if one.ended and one.history:
                self.tells(one)

    def waits(self, run: Run, place: int, amount: int) -> None:
        """Time passes, often to about midnight, and the worker's clock is another number of minutes off."""
        self.now += timedelta(minutes=amount * amount * 3)
        if place:
            today = self.now.astimezone(self.zone).date()
            midnight = datetime.fromtimestamp(day_span(today, self.zone).end_ms / 1000, UTC)
            self.now = max(self.now, midnight + timedelta(minutes=amount - 10))
        self.ahead = timedelta(minutes=(place - 2) * 11)
        self.books = self.books.forgetting(self.ms)

    def check(self) -> None:
        held, counted = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        for hold in self.books.holds.values():
            for account in () if hold.happened else hold.accounts:
                held[account, hold.keys[Period.DAY]] += hold.amounts[REFUNDS]
        for amount, day, agent in self.shop.values():
            counted["tenant", day] += amount
            counted[f"agent:{agent}", day] += amount
        for account, day in {*held, *counted}:
            one = self.books.sums.at(account, REFUNDS, day)
            assert one.held == held[account, day]
            assert one.spent >= 0
            assert one.used == (counted[account, day] if day in self.books.ends else 0)


STEPS: dict[str, Callable[[World, Run, int, int], None]] = {
    "asks": World.asks,
    "refuses": World.refuses,
    "performs": World.performs,
    "resets": World.resets,
    "closes": World.closes,
    "dies": World.dies,
    "sweeps": World.sweeps,
    "loses": World.loses,
    "waits": World.waits,
}
CHOSEN = st.sampled_from([*STEPS, "asks", "asks", "asks", "waits"])


@settings(max_examples=3 * settings().max_examples, deadline=None)
@given(
    st.lists(st.tuples(CHOSEN, st.integers(0, 3), st.integers(0, 4), st.integers(0, 20)), max_size=40), STARTS, ZONES
)
def test_whatever_runs_workers_clocks_and_the_ledger_do_its_sums_are_the_shops_own_books(
    steps: list[tuple[str, int, int, int]], start: datetime, zone: ZoneInfo
) -> None:
    world = World(start, zone)
    for name, run, place, amount in steps:
        STEPS[name](world, world.runs[run], place, amount)
        world.check()
    for run in world.runs:
        world.closes(run, 0, 0)
    world.sweeps(world.runs[0], 0, 0)
    world.check()
    assert not world.books.holds
