"""Ledgers in memory, and the limits that hold for every run."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from backstay.contracts.exposure import MeterSpec
from backstay.contracts.ledger import LedgerRef, TurnAsked
from backstay.kernel.ledger import Asked, Books, Hold
from backstay.kernel.ledger_period import Period, Span, spans_around
from backstay.kernel.ledger_queue import Place
from backstay.kernel.ledger_sums import RUNS, Amounts, Counts, Crossing, Excess, Limit, meter_of

TENANT, ORGANISATION = LedgerRef(tenant="acme"), LedgerRef()
KEYS = {Period.DAY: "2026-11-30", Period.MONTH: "2026-11"}


@dataclass
class FakeAllowances:
    """The limits of every run."""

    given: list[tuple[LedgerRef, tuple[Limit, ...]]]
    runs: list[tuple[LedgerRef, tuple[Limit, ...]]] = field(default_factory=list[tuple[LedgerRef, tuple[Limit, ...]]])

    def limits(self, tenant: str, agent: str, *, agent_only: bool = False) -> list[tuple[LedgerRef, tuple[Limit, ...]]]:
        if not agent_only:
            return self.given
        own = [(ledger, tuple(one for one in limits if one.level == "agent")) for ledger, limits in self.given]
        return [(ledger, limits) for ledger, limits in own if limits]

    def of_meters(
        self, tenant: str, agent: str, meters: Mapping[str, MeterSpec]
    ) -> list[tuple[LedgerRef, tuple[Limit, ...]]]:
        return self.given if meters else []

    def at_once(self, tenant: str, agent: str) -> list[tuple[LedgerRef, tuple[Limit, ...]]]:
        return self.runs

    def now_ms(self) -> int:
        return 0

    def spans(self, at_ms: int | None = None) -> tuple[Span, ...]:
        return ()


@dataclass
class FakeLedgers:
    """Ledgers in memory; `answers` are the refusals and faults by tenant, None for the organisation."""

    answers: dict[str | None, Excess | Exception] = field(default_factory=dict[str | None, Excess | Exception])
    crossed: tuple[Crossing, ...] = ()
    places: list[Place] = field(default_factory=list[Place])
    turns: list[tuple[str | None, TurnAsked]] = field(default_factory=list[tuple[str | None, TurnAsked]])
    held: list[tuple[str | None, str]] = field(default_factory=list[tuple[str | None, str]])
    asked: list[Asked] = field(default_factory=list[Asked])
    counted: Counter[str] = field(default_factory=Counter[str])

    async def hold(self, ledger: LedgerRef, asked: Asked) -> Hold | Excess:
        self.asked.append(asked)
        await asyncio.sleep(0)  # others may ask before the answer comes
        answer = self.answers.get(ledger.tenant)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Excess):
            return answer
        self.held.append((ledger.tenant, asked.id))
        crossed = self.crossed if ledger.tenant else ()
        return Hold(asked.id, asked.holder, asked.amounts, (ledger.level,), KEYS, 0, crossed, self._sums(asked.amounts))

    def _sums(self, amounts: Amounts) -> Counts:
        """Counts what was asked for in all, also of holds that were refused elsewhere."""
        self.counted += Counter(amounts)
        return {name: dict.fromkeys(Period, self.counted[name]) for name in amounts if meter_of(name)}

    async def enqueue(self, ledger: LedgerRef, asked: TurnAsked) -> Hold | Place:
        self.turns.append((ledger.tenant, asked))
        answer = self.answers.get(ledger.tenant)
        if isinstance(answer, Exception):
            raise answer
        if self.places:
            return self.places.pop(0)
        self.held.append((ledger.tenant, asked.waiter.id))
        return Hold(asked.waiter.id, asked.waiter.holder, {RUNS: 1}, (ledger.level,), {}, 0)

    async def release(self, ledger: LedgerRef, hold_id: str, attempt: int) -> None:
        self.held.remove((ledger.tenant, hold_id))


class KeptLedgers(FakeLedgers):
    """Ledgers with real books; what is given back arrives once `going` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.books = {TENANT.tenant: Books("tenant"), ORGANISATION.tenant: Books("organisation")}
        self.going, self.withdrawing = asyncio.Event(), asyncio.Event()

    async def hold(self, ledger: LedgerRef, asked: Asked) -> Hold | Excess:
        spans = spans_around(datetime(2026, 11, 30, 12, tzinfo=UTC), UTC)
        self.books[ledger.tenant], answer = self.books[ledger.tenant].hold(asked, spans, spans[2].start_ms)
        return answer

    async def release(self, ledger: LedgerRef, hold_id: str, attempt: int) -> None:
        self.withdrawing.set()
        await self.going.wait()
        self.books[ledger.tenant] = self.books[ledger.tenant].release(hold_id, attempt)
