"""`look`: who has closed, who goes on, and what the limits are now."""

from dataclasses import dataclass

import pytest
from temporalio.exceptions import ApplicationError

from activities.at_once import AtOnce
from activities.look import Look
from backstay.contracts.ledger import LedgerRef, LookInput, LookResult
from backstay.errors import HistoryError
from backstay.kernel.control import InForce
from backstay.kernel.ledger import Holder
from backstay.kernel.ledger_queue import AtWork
from backstay.kernel.ledger_sums import RUNS, Limit

from .ledgers import ORGANISATION, TENANT, FakeAllowances
from .test_sweep import FakeRuns
from .world import World

FIRST, SECOND = (Holder(f"key-{n}", f"run-{n}", "execution", "clerk") for n in (1, 2))
OWN, ALL = Limit("tenant", RUNS, None, 5), Limit("organisation", RUNS, None, 9)
AT_WORK = AtWork((SECOND,), ("run-3",))


@dataclass
class Runs(FakeRuns):
    """Runs of which the first has closed."""

    async def over(self, holder: Holder) -> bool:
        if self.fault:
            raise self.fault
        return holder is FIRST or holder.key == FIRST.key

    async def at_work(self, ledger: LedgerRef) -> AtWork:
        return AT_WORK


async def looked(world: World, ledger: LedgerRef = TENANT, fault: Exception | None = None, **more: bool) -> LookResult:
    at_once = AtOnce(FakeAllowances([], [(TENANT, (OWN,)), (ORGANISATION, (ALL,))]), world.control)
    given = LookInput(ledger=ledger, holders=[FIRST, SECOND], agents=["clerk"], counts=more.get("counts", False))
    return await world.env.run(Look(at_once, Runs(fault=fault)).look, given)


async def test_it_tells_who_has_closed_and_the_limits_of_the_ledger_by_agent(world: World) -> None:
    assert await looked(world) == LookResult(over=["key-1"], room={"clerk": [OWN]})
    assert (await looked(world, ORGANISATION)).room == {"clerk": [ALL]}


async def test_the_open_runs_are_told_where_they_are_wanted(world: World) -> None:
    assert (await looked(world, counts=True)).at_work == AT_WORK


async def test_limits_that_this_worker_does_not_know_now_are_left_out(world: World) -> None:
    world.control.state = InForce(confirmed=False)
    assert (await looked(world)).room == {}


async def test_where_the_engine_cannot_be_asked_it_is_tried_again_later(world: World) -> None:
    with pytest.raises(ApplicationError) as caught:
        await looked(world, fault=HistoryError("the engine is gone"))
    assert caught.value.type == "HistoryError"
