"""The workflow of a ledger by itself: it looks after old holds, continues as new, and refuses what is not for it."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle

from backstay.adapters.engine.ledgers import Ledgers
from backstay.app import folders
from backstay.contracts import names
from backstay.contracts.ledger import (
    BookAnswer,
    BookRequest,
    Closing,
    LedgerRef,
    LedgerView,
    RestoreInput,
    RestoreResult,
    SweepInput,
    SweepResult,
)
from backstay.contracts.run import plain
from backstay.errors import LedgerUnansweredError
from backstay.kernel.keys import ledger_id
from backstay.kernel.ledger import Asked, Books, Hold, Holder
from backstay.kernel.ledger_period import Period, Span, spans_around
from backstay.kernel.ledger_sums import Amounts, Excess, Limit, Sum

from .entity import PATIENCE, refused_start, served

if TYPE_CHECKING:
    from tests.workflow.conftest import Refused

DAY = Limit("tenant", "usd", Period.DAY, 100)


def spans() -> tuple[Span, ...]:
    return spans_around(datetime.now(UTC), UTC)


def asked(number: int, usd: int) -> Asked:
    return Asked(f"key-{number}/reserve-0", holder(number), {"usd": usd}, (DAY,))


def holder(number: int) -> Holder:
    return Holder(f"key-{number}", f"run-{number}", "execution", "clerk")


def _long(number: int) -> Asked:
    """A hold as long as those of real runs, of which no two have anything in common."""
    key = uuid.uuid4().hex
    run = Holder(key, f"refund-{uuid.uuid4()}", str(uuid.uuid4()), "clerk")
    return Asked(f"{key}/meter-{number % 20}-0-0-{uuid.uuid4().hex[:16]}", run, {"usd": 1}, ())


class Engine:
    """The runs as the engine would tell of them; `known` is what closed runs have spent."""

    def __init__(self) -> None:
        self.known: dict[str, Amounts] = {}
        self.books = Books("tenant")
        self.swept: list[list[str]] = []
        self.ready = asyncio.Event()
        self.ready.set()

    @activity.defn(name=names.SWEEP)
    async def sweep(self, given: SweepInput) -> SweepResult:
        self.swept.append([one.key for one in given.holders])
        told = [Closing(holder=one, spent=dict(self.known[one.key])) for one in given.holders if one.key in self.known]
        return SweepResult(closings=told)

    @activity.defn(name=names.RESTORE)
    async def restore(self, given: RestoreInput) -> RestoreResult:
        await self.ready.wait()
        return RestoreResult(books=self.books)


class Kept:
    """One ledger, and its books."""

    def __init__(self, client: Client, engine: Engine, ledger: LedgerRef) -> None:
        self.client, self.engine, self.ledger = client, engine, ledger
        self.asking = Ledgers(client, spans)

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(ledger_id(self.ledger.tenant))

    async def hold(self, number: int, usd: int) -> Hold | Excess:
        return await self.asking.hold(self.ledger, asked(number, usd))

    async def ask(self, one: Asked) -> Hold | Excess:
        return await self.asking.hold(self.ledger, one)

    async def usd(self) -> Sum:
        view = LedgerView.model_validate(await self.handle.query(names.BOOKS))
        return view.books.sums.at("tenant", "usd", f"{datetime.now(UTC):%Y-%m-%d}")

    async def shown(self) -> LedgerView:
        """The books as the memo has them, which needs no worker."""
        return LedgerView.model_validate((await (await self.handle.describe()).memo())[names.BOOKS])

    async def until(self, holds: Callable[[], Any]) -> None:
        end = time.monotonic() + PATIENCE
        while not await holds():
            assert time.monotonic() < end, "the condition did not come to hold"
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def kept(client: Client, **changed: Any) -> AsyncGenerator[Kept]:
    """Keeps one ledger, with these constants of its module changed."""
    engine = Engine()
    async with served(client, folders.tenant_ledger.TenantLedger, engine.sweep, engine.restore, **changed):
        one = Kept(client, engine, LedgerRef(tenant=f"tenant-{uuid.uuid4()}"))
        yield one
        await one.handle.terminate()


AT_ONCE = {"SWEEP_EVERY": timedelta(seconds=0.2), "SWEEP_AFTER_MS": 0, "PUBLISH_EVERY": timedelta(seconds=0.1)}


async def test_a_run_that_ended_and_said_nothing_is_settled_and_one_that_is_open_keeps_its_hold(client: Client) -> None:
    async with kept(client, **AT_ONCE) as ledger:
        await ledger.hold(1, 60)
        await ledger.hold(2, 30)
        await ledger.until(lambda: _truth(len(ledger.engine.swept) > 1))
        assert await ledger.usd() == Sum(0, 90)
        ledger.engine.known["key-1"] = {"usd": 25}
        await ledger.until(lambda: _is(ledger, Sum(25, 30)))
        assert ledger.engine.swept[0] == ["key-1", "key-2"]


@pytest.mark.parametrize("messages", [1_000, 5])
async def test_a_ledger_that_is_never_quiet_looks_for_the_runs_of_old_holds_too(client: Client, messages: int) -> None:
    async with kept(client, **AT_ONCE, MESSAGES_PER_LINK=messages) as ledger:
        await ledger.hold(1, 60)
        ledger.engine.known["key-1"] = {"usd": 25}

        async def always() -> None:
            for number in range(1_000, 1_000_000):
                await ledger.hold(number, 0)
                await asyncio.sleep(0.02)

        busy = asyncio.create_task(always())
        await ledger.until(lambda: _is(ledger, Sum(25, 0)))
        busy.cancel()


async def test_an_idle_ledger_looks_for_nothing(client: Client) -> None:
    async with kept(client, **AT_ONCE) as ledger:
        await ledger.hold(1, 60)
        await ledger.handle.signal(names.CLOSED, plain(Closing(holder=holder(1), spent={"usd": 10})))
        await ledger.until(lambda: _is(ledger, Sum(10, 0)))
        await asyncio.sleep(0.3)
        before = len(ledger.engine.swept)
        await asyncio.sleep(0.5)
        assert len(ledger.engine.swept) == before


async def test_nothing_is_lost_or_doubled_while_the_ledger_continues_as_new(client: Client) -> None:
    async with kept(client, MESSAGES_PER_LINK=5, PUBLISH_EVERY=timedelta(milliseconds=10)) as ledger:
        for number in range(16):
            assert isinstance(await ledger.hold(number, 5), Hold)
            assert isinstance(await ledger.hold(number, 5), Hold)
        assert await ledger.usd() == Sum(0, 80)
        await ledger.handle.signal(names.CLOSED, plain(Closing(holder=holder(3), spent={"usd": 2})))
        await ledger.until(lambda: _is(ledger, Sum(2, 75)))
        assert await ledger.hold(20, 24) == Excess("usd:tenant:day", 24, 23)

        async def rolled() -> bool:  # the index shows it a little later
            links = [one async for one in ledger.client.list_workflows(f"WorkflowId = '{ledger.handle.id}'")]
            return len(links) > 1

        await ledger.until(rolled)


async def test_books_of_thousands_of_holds_are_handed_to_the_next_link(client: Client) -> None:
    async with kept(client, MESSAGES_PER_LINK=30, PUBLISH_EVERY=timedelta(milliseconds=10)) as ledger:
        first = await ledger.hold(0, 1)
        for batch in range(30):
            asking = (ledger.ask(_long(200 * batch + number)) for number in range(200))
            assert all(isinstance(one, Hold) for one in await asyncio.gather(*asking))

        async def rolled() -> bool:
            described = await ledger.handle.describe()
            return described.run_id != described.raw_description.workflow_execution_info.first_run_id

        await ledger.until(rolled)
        assert await ledger.hold(0, 1) == first, "the next link knows every hold"
        assert (await ledger.usd()).held == 6_001


async def test_full_books_say_so_and_hold_again_once_a_run_has_ended(client: Client) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backstay.kernel.ledger.MOST_HOLDS", 1)
        async with kept(client) as ledger:
            await ledger.hold(1, 60)
            with pytest.raises(LedgerUnansweredError, match="as many holds as it can"):
                await ledger.hold(2, 10)
            await ledger.handle.signal(names.CLOSED, plain(Closing(holder=holder(1), spent={"usd": 10})))
            await ledger.until(lambda: _is(ledger, Sum(10, 0)))
            assert isinstance(await ledger.hold(2, 10), Hold)


async def test_the_books_are_read_without_a_worker(client: Client) -> None:
    async with kept(client, PUBLISH_EVERY=timedelta(milliseconds=10)) as ledger:
        await ledger.hold(1, 60)

        async def told() -> bool:
            return (await ledger.shown()).open_holds == 1

        await ledger.until(told)
        view = await ledger.shown()
        assert (view.ready, view.ledger, view.limits) == (True, ledger.ledger, [DAY])
        assert view.books.sums.at("tenant", "usd", f"{datetime.now(UTC):%Y-%m-%d}") == Sum(0, 60)


async def test_a_limit_that_the_next_hold_does_not_bring_is_shown_no_more(client: Client) -> None:
    month, tokens = Limit("tenant", "usd", Period.MONTH, 900), Limit("tenant", "tokens", Period.DAY, 5_000)
    clerk, cook = (Limit(f"agent:{agent}", "usd", Period.DAY, 50) for agent in ("clerk", "cook"))
    async with kept(client) as ledger:
        await ledger.ask(replace(asked(1, 10), limits=(DAY, month, tokens, clerk)))
        of_cook = Asked("key-2/reserve-0", replace(holder(2), agent="cook"), {"usd": 10}, (DAY, month, cook))
        await ledger.ask(of_cook)
        await ledger.ask(replace(asked(3, 10), limits=(replace(DAY, most=200),)))
        shown = LedgerView.model_validate(await ledger.handle.query(names.BOOKS)).limits
        assert {(one.account, one.quantity, one.period, one.most) for one in shown} == {
            ("tenant", "usd", "day", 200),
            ("tenant", "tokens", "day", 5_000),  # nobody has asked for tokens since
            ("agent:cook", "usd", "day", 50),
        }


async def test_until_its_books_are_whole_a_ledger_lets_nothing_through(client: Client) -> None:
    async with kept(client) as ledger:
        ledger.engine.ready.clear()
        hold = asyncio.create_task(ledger.hold(1, 60))
        await asyncio.sleep(0.5)
        assert not hold.done()
        await ledger.handle.signal(names.CLOSED, plain(Closing(holder=holder(1), spent={"usd": 10})))
        ledger.engine.books, _ = Books("tenant").hold(asked(1, 70), spans(), time.time_ns() // 1_000_000)
        ledger.engine.ready.set()
        assert isinstance(await hold, Excess), "the run has closed while the books were read"
        assert await ledger.usd() == Sum(10, 0)


@pytest.mark.parametrize(
    "wrong", [None, {}, {"spans": [], "holds": 1}, {"spans": [], "settled": {"key-1/reserve-0": {"usd": -5}}}]
)
async def test_a_batch_that_does_not_fit_is_refused_and_harms_nothing(
    client: Client, refusal: Refused, wrong: Any
) -> None:
    async with kept(client) as ledger:
        await ledger.hold(1, 60)
        assert (await refusal(ledger.handle.execute_update(names.BOOK, wrong))).type == "InvalidMessage"
        await ledger.handle.signal(names.CLOSED, wrong)
        assert await ledger.usd() == Sum(0, 60)


async def test_a_hold_can_be_settled_or_released_by_its_id(client: Client) -> None:
    async with kept(client) as ledger:
        await ledger.hold(1, 60)
        await ledger.hold(2, 40)
        request = BookRequest(
            spans=list(spans()), settled={"key-1/reserve-0": {"usd": 5}}, released=["key-2/reserve-0"]
        )
        answer: Any = await ledger.handle.execute_update(names.BOOK, plain(request))
        assert BookAnswer.model_validate(answer) == BookAnswer()
        assert await ledger.usd() == Sum(5, 0)


async def test_what_comes_while_an_update_is_in_flight_goes_into_the_next(client: Client) -> None:
    async with kept(client) as ledger:
        await ledger.hold(0, 0)
        answers = await asyncio.gather(*(ledger.hold(number, 1) for number in range(1, 201)))
        assert sum(isinstance(one, Hold) for one in answers) == 100
        assert [one for one in answers if isinstance(one, Excess)] == 100 * [Excess("usd:tenant:day", 1, 0)]
        updates = [event async for event in ledger.handle.fetch_history_events() if event.event_type == 41]
        assert len(updates) <= 5


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "ledger"),
        ({"ledger": {"tenant": "acme"}, "books": {"level": "tenant"}}, "books"),
        ({"ledger": 3}, "ledger"),
    ],
)
async def test_a_start_that_does_not_fit_fails_at_once(client: Client, given: Any, field: str) -> None:
    async with kept(client) as ledger:
        await ledger.hold(0, 0)
        assert field in (await refused_start(client, names.TENANT_LEDGER, given)).message


async def _is(ledger: Kept, wanted: Sum) -> bool:
    return await ledger.usd() == wanted


async def _truth(value: bool) -> bool:
    return value
