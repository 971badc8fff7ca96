"""Holds in several ledgers: in all or in none, and people are told of limits that are near."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from activities.hold import Holds
from backstay.contracts.ledger import ReserveResult
from backstay.errors import NoticeError
from backstay.kernel.ledger import Asked, Holder
from backstay.kernel.ledger_period import Period
from backstay.kernel.ledger_sums import Crossing, Excess, Limit

from .fakes import FakeNotifier
from .ledgers import ORGANISATION, TENANT, FakeLedgers, KeptLedgers
from .world import World

REFUNDS = "exposure:refunds"
OWN, ALL = (Limit("tenant", REFUNDS, Period.DAY, 100),), (Limit("organisation", REFUNDS, Period.DAY, 1_000),)
ASKED = Asked("key/meter-1-0-0-c", Holder("key", "run-1", "execution", "clerk"), {REFUNDS: 60}, ())
NEAR = Crossing("usd:tenant:day", "tenant", "2026-11-30", 80, 85, 100)


async def held(world: World, ledgers: FakeLedgers, notifier: FakeNotifier | None = None) -> ReserveResult:
    holds = Holds(ledgers, notifier or FakeNotifier())

    async def hold(asked: Asked) -> ReserveResult:
        return await holds.hold([(TENANT, OWN), (ORGANISATION, ALL)], asked)

    return await world.env.run(hold, ASKED)


async def test_each_ledger_is_asked_under_its_own_limits(world: World) -> None:
    ledgers = FakeLedgers()
    assert [one.ledger for one in (await held(world, ledgers)).held] == [TENANT, ORGANISATION]
    assert [one.limits for one in ledgers.asked] == [OWN, ALL]


async def test_a_refusal_tells_the_sums_of_the_first_ledger(world: World) -> None:
    ledgers = FakeLedgers({None: Excess("exposure:refunds:organisation:day", 60, 1, (), {REFUNDS: {Period.DAY: 999}})})
    result = await held(world, ledgers)
    assert (result.held, ledgers.held) == ([], [])
    assert result.excess is not None
    assert result.excess.sums == {REFUNDS: {Period.DAY: 60, Period.MONTH: 60}}


@pytest.mark.parametrize("later", [True, False])
async def test_an_attempt_that_stood_still_gives_nothing_back_that_a_later_one_holds(later: bool) -> None:
    began = datetime(2026, 11, 30, 12, tzinfo=UTC)
    ledgers, first, second = KeptLedgers(), World(), World()
    first.began(began)
    second.began(began + timedelta(seconds=10))
    tight = (replace(ALL[0], most=100),)
    run = Holder("other", "run-2", "execution", "clerk")
    await ledgers.hold(ORGANISATION, replace(ASKED, id="other", holder=run, limits=tight))
    holds = Holds(ledgers, FakeNotifier())

    async def hold() -> ReserveResult:
        return await holds.hold([(TENANT, OWN), (ORGANISATION, tight)], ASKED)

    frozen = asyncio.create_task(first.env.run(hold))
    await asyncio.wait_for(ledgers.withdrawing.wait(), 5)
    ledgers.books[None] = ledgers.books[None].release("other")
    if later:
        assert len((await second.env.run(hold)).held) == 2
    ledgers.going.set()
    assert (await frozen).excess is not None
    for books in ledgers.books.values():
        assert list(books.holds) == [ASKED.id] * later


async def test_a_limit_that_is_near_is_told_in_the_log_to_the_webhook_and_to_the_run(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = FakeNotifier()
    with caplog.at_level(logging.WARNING):
        result = await held(world, FakeLedgers(crossed=(NEAR,)), notifier)
    assert result.warnings == [NEAR]
    ((agent, message),) = notifier.sent
    assert (agent, message["event"], message["crossing"]["name"]) == ("clerk", "limit_neared", "usd:tenant:day")
    assert "usd:tenant:day of 2026-11-30 has reached 80 % of its limit" in caplog.text


async def test_a_webhook_that_takes_no_notice_holds_nobody_up(world: World) -> None:
    result = await held(world, FakeLedgers(crossed=(NEAR,)), FakeNotifier(NoticeError("gone")))
    assert result.warnings == [NEAR]
