"""`pace` and `paced`: the rate that the engine holds for an account."""

from dataclasses import dataclass, field

import pytest
from temporalio.exceptions import ApplicationError

from activities.pace import Pace
from backstay.contracts.quota import PacedRate, PaceInput, QuotaRef
from backstay.errors import HistoryError

from .world import World


@dataclass
class FakeRates:
    """The rates that an engine holds; while `fault` is set it does not answer."""

    held: dict[str, PacedRate] = field(default_factory=dict[str, PacedRate])
    fault: HistoryError | None = None

    async def put(self, account: str, rate: int | None, why: str) -> None:
        if self.fault:
            raise self.fault
        self.held[account] = PacedRate(rate=rate, why=why)

    async def of(self, account: str) -> PacedRate:
        if self.fault:
            raise self.fault
        return self.held.get(account, PacedRate())


@pytest.mark.parametrize("rate", [57_000, None], ids=["a rate", "no limit"])
async def test_the_engine_holds_what_it_was_told_last(world: World, rate: int | None) -> None:
    rates = FakeRates({"main": PacedRate(rate=5)})
    done = await world.env.run(Pace(rates).pace, PaceInput(account="main", rate=rate, why="because"))
    assert done == PacedRate(rate=rate, why="because")
    assert await world.env.run(Pace(rates).paced, QuotaRef(account="main")) == done


async def test_an_account_that_nobody_limits_has_no_rate(world: World) -> None:
    assert await world.env.run(Pace(FakeRates()).paced, QuotaRef(account="main")) == PacedRate(rate=None)


async def test_an_engine_that_does_not_answer_is_asked_again(world: World) -> None:
    pace = Pace(FakeRates(fault=HistoryError("the engine could not be asked: busy")))
    with pytest.raises(ApplicationError, match="busy") as put:
        await world.env.run(pace.pace, PaceInput(account="main", rate=1, why=""))
    with pytest.raises(ApplicationError, match="busy") as read:
        await world.env.run(pace.paced, QuotaRef(account="main"))
    assert [(error.value.type, error.value.non_retryable) for error in (put, read)] == [("HistoryError", False)] * 2
