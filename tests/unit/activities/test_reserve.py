"""`reserve`: holds in all ledgers that limit a run, or in none."""

import pytest
from temporalio.exceptions import ApplicationError

from activities.hold import Holds
from activities.reserve import Reserve
from backstay.contracts import names
from backstay.contracts.admission import Draws
from backstay.contracts.ledger import ReserveInput, ReserveResult
from backstay.errors import LedgerUnansweredError
from backstay.kernel.ledger_period import Period
from backstay.kernel.ledger_sums import Excess, Limit

from .fakes import RUN, FakeNotifier
from .ledgers import ORGANISATION, TENANT, FakeAllowances, FakeLedgers
from .world import World

DAY = (Limit("tenant", "usd", Period.DAY, 100),)
ALL = (Limit("organisation", "usd", Period.DAY, 1_000),)
GIVEN = ReserveInput(name="reserve-0", holder="key", tenant="acme", agent="clerk", amounts={"usd": 60})
FULL = Excess("usd:organisation:day", 60, 10)


async def reserved(world: World, ledgers: FakeLedgers, notifier: FakeNotifier | None = None) -> ReserveResult:
    return await asked(world, ledgers, GIVEN, notifier)


async def asked(
    world: World, ledgers: FakeLedgers, given: ReserveInput, notifier: FakeNotifier | None = None
) -> ReserveResult:
    allowances = FakeAllowances([(TENANT, DAY), (ORGANISATION, ALL)])
    activity = Reserve(world.conversations, allowances, Holds(ledgers, notifier or FakeNotifier()))
    return await world.env.run(activity.reserve, given)


async def test_a_run_holds_in_every_ledger_that_limits_it(world: World) -> None:
    ledgers = FakeLedgers()
    result = await reserved(world, ledgers)
    assert [one.ledger for one in result.held] == [TENANT, ORGANISATION]
    assert ledgers.held == [("acme", "key/reserve-0"), (None, "key/reserve-0")]
    assert [one.limits for one in ledgers.asked] == [DAY, ALL]
    assert result.excess is None


async def test_a_run_below_another_one_holds_with_its_agent_alone(world: World) -> None:
    own = Limit("agent:clerk", "usd", Period.DAY, 80)
    admission = world.history.openings[RUN].admission
    world.change_opening(admission=admission.model_copy(update={"draws": Draws(agent_only=True)}))
    ledgers = FakeLedgers()
    allowances = FakeAllowances([(TENANT, (*DAY, own)), (ORGANISATION, ALL)])
    activity = Reserve(world.conversations, allowances, Holds(ledgers, FakeNotifier()))
    result = await world.env.run(activity.reserve, GIVEN)
    assert [one.limits for one in ledgers.asked] == [(own,)]
    assert [one.hold.holder.agent_only for one in result.held] == [True]


async def test_where_one_ledger_refuses_the_others_get_their_holds_back(world: World) -> None:
    ledgers = FakeLedgers({None: FULL})
    result = await reserved(world, ledgers)
    assert (result.held, result.excess, ledgers.held) == ([], FULL, [])


async def test_where_the_tenants_ledger_refuses_the_organisations_is_not_asked(world: World) -> None:
    ledgers = FakeLedgers({"acme": FULL})
    assert (await reserved(world, ledgers)).excess == FULL
    assert len(ledgers.asked) == 1


async def test_where_no_ledger_limits_a_run_it_holds_nothing(world: World) -> None:
    ledgers = FakeLedgers()
    activity = Reserve(world.conversations, FakeAllowances([]), Holds(ledgers, FakeNotifier()))
    result = await world.env.run(activity.reserve, GIVEN)
    assert (result, ledgers.asked) == (ReserveResult(), [])


async def test_a_silent_ledger_is_told_to_the_run_which_asks_again(world: World) -> None:
    ledgers = FakeLedgers({None: LedgerUnansweredError("the organisation's ledger does not answer")})
    with pytest.raises(ApplicationError, match="does not answer") as caught:
        await reserved(world, ledgers)
    assert (caught.value.type, caught.value.non_retryable) == (names.LEDGER_UNANSWERED, True)
    assert ledgers.held == [("acme", "key/reserve-0")], "the same id holds once, and is asked for again"


@pytest.mark.parametrize("forged", [{"holder": "another run's"}, {"tenant": "victim"}, {"agent": "writer"}])
async def test_a_run_draws_for_nobody_but_itself(world: World, forged: dict[str, str]) -> None:
    ledgers = FakeLedgers()
    with pytest.raises(ApplicationError, match="for itself alone") as caught:
        await asked(world, ledgers, GIVEN.model_copy(update=forged))
    assert (caught.value.type, caught.value.non_retryable, ledgers.asked) == ("ForeignRun", True, [])
