"""`sweep` and `restore`: what became of runs that hold something."""

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from temporalio.exceptions import ApplicationError

from activities.sweep import Sweep
from backstay.contracts.exposure import MeterSpec
from backstay.contracts.history import RunRef
from backstay.contracts.ledger import LedgerRef, RestoreInput, SweepInput
from backstay.errors import HistoryError
from backstay.kernel.ledger import Books, Hold, Holder
from backstay.kernel.ledger_period import Period, Span, keys_at, spans_around
from backstay.kernel.ledger_queue import AtWork
from backstay.kernel.ledger_sums import NOW, RUNS, Amounts, Limit, Sum

from .world import World

LEDGER = LedgerRef(tenant="acme")
RESTORED = RestoreInput(ledger=LEDGER)
DAY_MS = 86_400_000
FIRST, SECOND = (Holder(f"key-{n}", f"run-{n}", "execution", "clerk") for n in (1, 2))


class Clock:
    """The limits of an organisation that sets none, with the time of this machine."""

    def limits(self, tenant: str, agent: str, *, agent_only: bool = False) -> list[tuple[LedgerRef, tuple[Limit, ...]]]:
        return []

    def of_meters(
        self, tenant: str, agent: str, meters: Mapping[str, MeterSpec]
    ) -> list[tuple[LedgerRef, tuple[Limit, ...]]]:
        return []

    def at_once(self, tenant: str, agent: str) -> list[tuple[LedgerRef, tuple[Limit, ...]]]:
        return []

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def spans(self, at_ms: int | None = None) -> tuple[Span, ...]:
        at = self.now_ms() if at_ms is None else at_ms
        return spans_around(datetime.fromtimestamp(at / 1000, UTC), UTC)


def held(holder: Holder, usd: int) -> Hold:
    now_ms = Clock().now_ms()
    keys = keys_at(Clock().spans(), now_ms)
    assert keys is not None
    return Hold(f"{holder.key}/reserve-0", holder, {"usd": usd}, ("tenant", "agent:clerk"), keys, now_ms)


@dataclass
class FakeRuns:
    """Runs in memory: what closed ones have spent, by key, and what each holds."""

    known: dict[str, Amounts] = field(default_factory=dict[str, Amounts])
    holds: list[Hold] = field(default_factory=list[Hold])
    before: bool = True
    fault: Exception | None = None

    async def kept_before(self, ledger: LedgerRef, own: RunRef) -> bool:
        if self.fault:
            raise self.fault
        return self.before

    async def over(self, holder: Holder) -> bool:
        return holder.key in self.known

    async def at_work(self, ledger: LedgerRef) -> AtWork:
        return AtWork()

    async def spent(self, holder: Holder) -> Amounts | None:
        if self.fault:
            raise self.fault
        return self.known.get(holder.key)

    async def drawn(self, ledger: LedgerRef, since_ms: int) -> AsyncGenerator[tuple[Sequence[Hold], Amounts | None]]:
        for hold in self.holds:
            yield [hold], self.known.get(hold.holder.key)


async def test_closed_runs_are_told_with_what_they_spent_and_open_ones_left_out(world: World) -> None:
    runs = FakeRuns({"key-1": {"usd": 5}})
    result = await world.env.run(Sweep(Clock(), runs).sweep, SweepInput(holders=[FIRST, SECOND]))
    assert [(one.holder, one.spent) for one in result.closings] == [(FIRST, {"usd": 5})]


async def test_a_first_ledger_begins_with_empty_books(world: World) -> None:
    runs = FakeRuns(holds=[held(FIRST, 60)], before=False)
    result = await world.env.run(Sweep(Clock(), runs).restore, RESTORED)
    assert result.books == Books("tenant")


async def test_a_ledger_that_was_ended_gets_its_books_from_its_runs(world: World) -> None:
    runs = FakeRuns({"key-1": {"usd": 25}}, [held(FIRST, 60), held(SECOND, 30)])
    books = (await world.env.run(Sweep(Clock(), runs).restore, RESTORED)).books
    assert books.sums.at("tenant", "usd", books.holds["key-2/reserve-0"].keys[Period.DAY]) == Sum(25, 30)
    assert "key-1" in books.ended


async def test_a_run_that_held_a_place_alone_counts_in_the_day_in_which_it_had_it(world: World) -> None:
    now_ms = Clock().now_ms()
    month = next(span for span in Clock().spans() if span.period is Period.MONTH and span.holds(now_ms))
    place = Hold("key-1/slot", FIRST, {RUNS: 1}, ("tenant", "agent:clerk"), {}, month.start_ms)
    runs = FakeRuns({"key-1": {"usd": 25}}, [place])
    books = (await world.env.run(Sweep(Clock(), runs).restore, RESTORED)).books
    today = keys_at(Clock().spans(), now_ms)
    assert today is not None
    assert books.sums.at("tenant", "usd", today[Period.MONTH]) == Sum(25)
    assert books.sums.at("tenant", "usd", today[Period.DAY]).spent == (25 if now_ms < month.start_ms + DAY_MS else 0)
    assert books.sums.at("tenant", RUNS, NOW) == Sum()


async def test_an_engine_that_cannot_be_asked_is_asked_again(world: World) -> None:
    sweep = Sweep(Clock(), FakeRuns(fault=HistoryError("gone")))
    for asked in (world.env.run(sweep.sweep, SweepInput(holders=[FIRST])), world.env.run(sweep.restore, RESTORED)):
        with pytest.raises(ApplicationError) as caught:
            await asked
        assert (caught.value.type, caught.value.non_retryable) == (HistoryError.code, False)
