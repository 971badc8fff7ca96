"""`enqueue`: a run is one of those at once, or waits."""

import pytest
from temporalio.exceptions import ApplicationError

from activities import enqueue
from activities.at_once import AtOnce
from activities.enqueue import Enqueue
from backstay.contracts.ledger import EnqueueInput, EnqueueResult, LedgerRef
from backstay.errors import LedgerUnansweredError
from backstay.kernel.control import InForce
from backstay.kernel.ledger_queue import Place
from backstay.kernel.ledger_sums import RUNS, Limit

from .ledgers import ORGANISATION, TENANT, FakeAllowances, FakeLedgers
from .world import World

OWN, ALL = Limit("tenant", RUNS, None, 5), Limit("organisation", RUNS, None, 9)
BOTH = [(TENANT, (OWN,)), (ORGANISATION, (ALL,))]
SECOND = Place(2, "runs_at_once:tenant", 5)


async def asked(
    world: World,
    ledgers: FakeLedgers,
    runs: list[tuple[LedgerRef, tuple[Limit, ...]]] | None = None,
    waits_in: LedgerRef | None = None,
    key: str = "key",
) -> EnqueueResult:
    at_once = AtOnce(FakeAllowances([], BOTH if runs is None else runs), world.control)
    activity = Enqueue(world.conversations, at_once, ledgers)
    given = EnqueueInput(holder=key, tenant="acme", agent="clerk", started_us=7, waits_in=waits_in)
    return await world.env.run(activity.enqueue, given)


async def test_a_run_is_counted_in_every_ledger_that_limits_it_the_tenants_first(world: World) -> None:
    ledgers = FakeLedgers()
    result = await asked(world, ledgers)
    assert [one.ledger for one in result.held] == [TENANT, ORGANISATION]
    assert [(tenant, one.limits, one.waiter.started_us) for tenant, one in ledgers.turns] == [
        ("acme", (OWN,), 7),
        (None, (ALL,), 7),
    ]
    assert (result.place, result.waits_in) == (None, None)


async def test_it_waits_in_the_first_ledger_without_room_and_asks_no_further_one(world: World) -> None:
    ledgers = FakeLedgers(places=[SECOND])
    result = await asked(world, ledgers)
    assert (result.held, result.place, result.waits_in) == ([], SECOND, TENANT)
    assert len(ledgers.turns) == 1


async def test_a_ledger_that_finds_out_who_goes_on_is_asked_again_for_a_moment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enqueue, "_AGAIN", 0.001)
    ledgers = FakeLedgers(places=[Place(1), Place(1)])
    assert len((await asked(world, ledgers, [(TENANT, (OWN,))])).held) == 1
    monkeypatch.setattr(enqueue, "_COUNTED_WITHIN", 0.0)
    assert (await asked(world, FakeLedgers(places=[Place(1)]))).place == Place(1)


async def test_a_ledger_in_which_it_waits_is_asked_also_when_nothing_is_limited_any_more(world: World) -> None:
    ledgers = FakeLedgers()
    await asked(world, ledgers, [], TENANT)
    assert [(tenant, one.limits) for tenant, one in ledgers.turns] == [("acme", ())]


async def test_it_waits_where_nobody_knows_the_limits_or_a_ledger_is_silent(world: World) -> None:
    with pytest.raises(ApplicationError) as caught:
        await asked(world, FakeLedgers(answers={"acme": LedgerUnansweredError("silent")}))
    assert (caught.value.type, caught.value.non_retryable) == ("LedgerUnanswered", True)
    world.control.state = InForce(confirmed=False)
    with pytest.raises(ApplicationError) as caught:
        await asked(world, FakeLedgers())
    assert caught.value.type == "Held"


async def test_a_run_asks_for_itself_alone(world: World) -> None:
    with pytest.raises(ApplicationError) as caught:
        await asked(world, FakeLedgers(), key="another")
    assert caught.value.type == "ForeignRun"
