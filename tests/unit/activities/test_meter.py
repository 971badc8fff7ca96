"""`meter`: what calls mean is held in ledgers, in the order asked, before anybody judges them."""

from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.hold import Holds
from activities.meter import Meter
from backstay.contracts import names
from backstay.contracts.admission import ToolSpec
from backstay.contracts.decision import ProposedCall
from backstay.contracts.exposure import MeterSpec
from backstay.contracts.metering import MeterInput, MeterResult
from backstay.errors import LedgerUnansweredError
from backstay.kernel.keys import short_digest
from backstay.kernel.ledger_period import Period
from backstay.kernel.ledger_sums import Crossing, Excess, Limit

from .fakes import RUN, FakeNotifier, tool_spec
from .ledgers import ORGANISATION, TENANT, FakeAllowances, FakeLedgers
from .world import World, proposed

REFUNDS = "exposure:refunds_usd"
OWN = (
    Limit("tenant", REFUNDS, Period.DAY, 5_000),
    Limit("tenant", REFUNDS, Period.DAY, 4_000, group="finance"),
    Limit("tenant", REFUNDS, Period.MONTH, 9_000),
    Limit("agent:clerk", REFUNDS, Period.DAY, 1_000),
    Limit("tenant", "usd", Period.DAY, 1),
)
ALL = (Limit("organisation", REFUNDS, Period.MONTH, 90_000),)
PAYS = tool_spec(exposure=["refunds_usd", "vouchers"])


@pytest.fixture
def world() -> World:
    return metering(PAYS)


def metering(*specs: ToolSpec) -> World:
    """A world in which refunds are counted by day, and vouchers in no ledger."""
    world = World(*specs)
    for tool in world.tools.values():
        tool.adds = lambda values: {"refunds_usd": values["amount"], "vouchers": 1}
    meters = {"refunds_usd": MeterSpec(counted=[Period.DAY]), "vouchers": MeterSpec()}
    admitted = world.history.openings[RUN].admission.model_copy(update={"exposure": meters})
    world.change_opening(admission=admitted)
    return world


async def metered(
    world: World, ledgers: FakeLedgers, *calls: ProposedCall, limits: Any = None, **more: Any
) -> MeterResult:
    allowances = FakeAllowances([(TENANT, OWN), (ORGANISATION, ALL)] if limits is None else limits)
    activity = Meter(world.conversations, world.reviewer, allowances, Holds(ledgers, FakeNotifier()))
    return await world.env.run(activity.meter, MeterInput(question=world.question(*calls), **more))


def paying(amount: Any, call_id: str = "1-0") -> ProposedCall:
    return proposed(arguments=f'{{"amount": {amount}}}', call_id=call_id)


async def test_calls_are_held_in_order_and_each_is_told_the_sums_with_it(world: World) -> None:
    ledgers = FakeLedgers()
    first, second = paying("0.0099"), paying("0.0001", "1-1")
    result = await metered(world, ledgers, first, second)
    assert [one.amounts for one in ledgers.asked][:2] == [{REFUNDS: 99}, {REFUNDS: 1}]
    one, other = result.calls["1-0"], result.calls["1-1"]
    assert (one.exposure, one.excess) == ({"refunds_usd": 99}, None)
    assert [held.ledger for held in one.held] == [TENANT, ORGANISATION]
    assert one.name == f"meter-1-0-0-{short_digest(first.content)}"
    assert {hold.id for _, hold in ((held.ledger, held.hold) for held in one.held)} == {f"key/{one.name}"}
    assert (one.sums, other.sums) == ({"refunds_usd": {Period.DAY: 99}}, {"refunds_usd": {Period.DAY: 100}})
    assert one.limits == {"refunds_usd": {Period.DAY: 4_000}}


async def test_the_holder_is_the_run_that_asks_whatever_the_question_claims(world: World) -> None:
    ledgers = FakeLedgers()
    world.change_opening(run_key="its own")
    await metered(world, ledgers, paying(1))
    holder = ledgers.asked[0].holder
    assert (holder.key, holder.workflow_id, holder.run_id, holder.agent) == (
        "its own",
        RUN.workflow_id,
        RUN.run_id,
        "clerk",
    )


async def test_a_call_that_does_not_fit_or_adds_nothing_that_is_counted_is_left_out(world: World) -> None:
    ledgers = FakeLedgers()
    unreadable = proposed(arguments="{", call_id="1-0")
    result = await metered(world, ledgers, unreadable, paying(-1, "1-1"), paying(0, "1-2"))
    assert list(result.calls) == ["1-2"]
    assert ledgers.asked[0].amounts == {REFUNDS: 0}
    world.tool.adds = lambda values: {"vouchers": 1}
    assert (await metered(world, ledgers, paying(5))).calls == {}


async def test_a_call_without_room_tells_why_and_the_others_are_held(world: World) -> None:
    over = Excess("exposure:refunds_usd:tenant:day", 990_000, 5, ("finance",), {REFUNDS: {Period.DAY: 7}})
    result = await metered(world, FakeLedgers({"acme": over}), paying(99))
    one = result.calls["1-0"]
    assert (one.held, one.excess, one.sums) == ([], over, {"refunds_usd": {Period.DAY: 7}})


async def test_a_call_that_is_held_anew_has_another_name_and_the_sum_that_people_agreed_to(world: World) -> None:
    ledgers = FakeLedgers()
    agreed = {"1-0": {"refunds_usd": {Period.DAY: 77}}}
    result = await metered(world, ledgers, paying(5), revisions={"1-0": 3}, agreed=agreed)
    assert result.calls["1-0"].name.startswith("meter-1-0-3-")
    assert ledgers.asked[0].agreed == {REFUNDS: {Period.DAY: 77}}


async def test_limits_that_are_near_are_told_to_the_run(world: World) -> None:
    near = Crossing("exposure:refunds_usd:tenant:day", "tenant", "2026-11-30", 80, 85, 100)
    assert (await metered(world, FakeLedgers(crossed=(near,)), paying(5))).warnings == [near]


async def test_a_silent_ledger_is_told_to_the_run_which_asks_again(world: World) -> None:
    ledgers = FakeLedgers({"acme": LedgerUnansweredError("the ledger of tenant acme does not answer")})
    with pytest.raises(ApplicationError, match="does not answer") as caught:
        await metered(world, ledgers, paying(5))
    assert (caught.value.type, caught.value.non_retryable) == (names.LEDGER_UNANSWERED, True)


async def test_a_worker_without_the_tool_as_it_was_admitted_holds_nothing(world: World) -> None:
    world.tool.spec = world.tool.spec.model_copy(update={"digest": "sha256:new"})
    ledgers = FakeLedgers()
    with pytest.raises(ApplicationError) as caught:
        await metered(world, ledgers, paying(5))
    assert (caught.value.type, ledgers.asked) == (names.UNSERVED_TOOL, [])


async def test_what_happened_before_is_told_with_the_first_call_to_every_ledger(world: World) -> None:
    ledgers = FakeLedgers()
    first, second = paying("0.0099"), paying("0.0001", "1-1")
    await metered(world, ledgers, first, second, happened=["meter-0-0-0-a"])
    assert [one.happened for one in ledgers.asked] == [("key/meter-0-0-0-a",), (), ("key/meter-0-0-0-a",), ()]
