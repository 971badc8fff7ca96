"""The hold of one call, where its budget is short: people are asked for more before it is refused."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from backstay.contracts.admission import Admission, ToolSpec
from backstay.contracts.decision import ProposedCall
from backstay.contracts.ledger import LedgerRef, Reserved
from backstay.contracts.metering import Metered
from backstay.kernel.budget import Limits
from backstay.kernel.events import Admitted, BudgetShort, Granted
from backstay.kernel.ledger import Hold, Holder
from backstay.kernel.ledger_period import Period
from backstay.kernel.ledger_sums import Counts, Excess
from backstay.kernel.meter import Bound
from backstay.kernel.stop import Thresholds
from backstay.kernel.verdict import Code, Outcome, Verdict
from workflows.run.appeal import Appeals
from workflows.run.draw import Purse
from workflows.run.hold import ANOTHER, CallHold, HoldParts
from workflows.run.ledgers import RunLedgers
from workflows.run.live import LiveRun
from workflows.run.meters import Meters
from workflows.run.standing import StandingGrants

TOOL = ToolSpec(name="pay", description="Pays.", parameters={}, effect="write", timeout=60.0, digest="sha256:t")
NO_ROOM = "not executed: the budget has no room for it (tool_calls)"


def means(units: int) -> Verdict:
    return Verdict(Outcome.ALLOW, Code.PERMITTED, "d", "v", exposure={"refunds": units})


class People:
    """People who grant one call more, or refuse, when they are asked."""

    def __init__(self, run: LiveRun) -> None:
        self.run = run
        self.asks = True
        self.grants = True
        self.asked = 0

    def offers(self, short: BudgetShort) -> Limits | None:
        return Limits(tool_calls=1) if self.asks and short.dimension == "tool_calls" else None

    async def room(self, short: Any, again: Callable[[], Awaitable[Any]]) -> Any:
        self.asked += 1
        if not self.grants:
            return short
        before = self.run.state.budget.limits.tool_calls or 0
        limits = Limits(tool_calls=before + 1, exposure=self.run.state.budget.limits.exposure)
        self.run.apply(Granted("ann", "more", Limits(tool_calls=1), limits))
        return await again()


@pytest.fixture
def people(run: LiveRun, admission: Admission) -> People:
    limits = Limits(tool_calls=1, exposure={"refunds": (Bound(8, "finance"),)})
    run.apply(Admitted("clerk", "1", "t", None, "m", limits, Thresholds(), None, 100))
    return People(run)


class FakeMeters:
    """Ledgers that count refunds; `answers` are what they tell, one after the other, None where nobody waits."""

    def __init__(self, *answers: Metered | None) -> None:
        self.answers = list(answers)
        self.agreed: list[Counts | None] = []
        self.given_back: list[str] = []

    def counted(self, exposure: Mapping[str, int]) -> dict[str, int]:
        return dict(exposure)

    async def count(self, calls: Sequence[ProposedCall], agreed: Counts | None = None) -> dict[str, Metered] | None:
        self.agreed.append(agreed)
        answer = self.answers.pop(0)
        return None if answer is None else {calls[0].call_id: answer}

    def give_back(self, metered: Metered) -> None:
        self.given_back.append(metered.name)

    async def told(self) -> None:
        return None


class Uncounting(FakeMeters):
    """No ledgers at all."""

    def counted(self, exposure: Mapping[str, int]) -> dict[str, int]:
        return {}


def hold(
    people: People, call_id: str = "1-1", metered: Metered | None = None, meters: FakeMeters | None = None
) -> CallHold:
    purse = Purse(people.run, RunLedgers(people.run))
    parts = HoldParts(
        purse, cast("Meters", meters or Uncounting()), cast("Appeals", people), StandingGrants(people.run)
    )
    return CallHold(people.run, parts, TOOL, call_id, metered)


CALL = ProposedCall(call_id="1-1", tool="pay", arguments="{}")
OVER = Excess("exposure:refunds:tenant:day", 50_000, 10_000)
ASKS = replace(OVER, groups=("board",))


def held(units: int, name: str = "meter-1-1-0-c") -> Metered:
    holder = Holder("key", "run-1", "execution", "clerk")
    one = Reserved(ledger=LedgerRef(tenant="t"), hold=Hold(f"key/{name}", holder, {}, ("tenant",), {}, 0))
    return Metered(name=name, exposure={"refunds": units}, held=[one], sums={"refunds": {Period.DAY: units}})


def refused(units: int, excess: Excess) -> Metered:
    return Metered(name="meter-1-1-0-c", exposure={"refunds": units}, excess=excess)


async def test_a_call_is_held_as_ledgers_hold_it_and_given_back_once(people: People) -> None:
    meters = FakeMeters()
    one = hold(people, metered=held(5), meters=meters)
    assert one.place(means(5)) is None
    assert "1-1" in people.run.state.running
    one.release()
    one.release()
    assert (meters.given_back, people.run.state.running) == (["meter-1-1-0-c"], {})


async def test_a_call_that_means_something_else_than_ledgers_hold_is_not_made(people: People) -> None:
    meters = FakeMeters()
    assert hold(people, metered=held(5), meters=meters).place(means(6)) == ANOTHER
    assert meters.given_back == ["meter-1-1-0-c"]
    assert hold(people, meters=meters).place(means(0)) == ANOTHER, "of that ledgers know nothing"


async def test_a_limit_over_many_runs_refuses_and_names_what_is_left(people: People) -> None:
    told = hold(people, metered=refused(5, OVER), meters=FakeMeters()).place(means(5))
    assert told == (
        "not executed: exposure_exceeded: the call adds 5 to `refunds`, and 1 is left to the tenant this day"
    )
    assert people.run.state.running == {}


async def test_limits_of_the_run_and_over_many_runs_ask_together(people: People) -> None:
    one = hold(people, metered=refused(9, ASKS), meters=FakeMeters())
    assert one.place(means(9)) is None
    assert one.asks is not None
    assert one.asks.groups == ("finance", "board")
    assert people.run.state.budget.held.exposure == {}


async def test_while_people_are_asked_about_a_limit_ledgers_hold_nothing(people: People) -> None:
    meters = FakeMeters(held(9, "meter-1-1-1-c"))
    one = hold(people, metered=held(9), meters=meters)
    one.place(means(9))
    assert meters.given_back == ["meter-1-1-0-c"]
    assert await one.counted_again(CALL, {"refunds": {Period.DAY: 9}})
    assert meters.agreed == [{"refunds": {Period.DAY: 9}}]
    assert one.place(means(9), {"refunds": 9}) is None
    assert (one.asks, people.run.state.budget.held.exposure) == (None, {"refunds": 9})


async def test_what_ledgers_hold_is_not_asked_for_again(people: People) -> None:
    meters = FakeMeters()
    one = hold(people, metered=held(5), meters=meters)
    assert await one.counted_again(CALL, {})
    assert await hold(people, meters=meters).counted_again(CALL, {})
    assert meters.agreed == []


async def test_a_call_that_is_counted_anew_gives_the_old_hold_back_first(people: People) -> None:
    meters = FakeMeters(held(6, "meter-1-1-1-c"), None)
    one = hold(people, metered=held(5), meters=meters)
    assert await one.recount(CALL)
    assert (meters.given_back, one.recounts(means(6))) == (["meter-1-1-0-c"], False)
    assert not await one.recount(CALL), "the run was interrupted"
    assert (meters.given_back[1:], one.metered) == (["meter-1-1-1-c"], None)


async def test_a_call_without_room_is_held_once_people_gave_it_room(people: People) -> None:
    assert hold(people, "1-0").place(means(1)) is None
    second = hold(people)
    assert second.place(means(2)) is None
    assert (people.asked, people.run.state.shortfall, "1-1" in people.run.state.running) == (0, None, False)
    assert await second.room() is None
    assert (people.asked, people.run.state.shortfall, "1-1" in people.run.state.running) == (1, None, True)
    assert people.run.state.budget.held.exposure == {"refunds": 3}
    assert await second.room() is None
    assert people.asked == 1


@pytest.mark.parametrize("asks", [True, False])
async def test_the_shortage_ends_the_run_once_nobody_is_left_to_ask(people: People, asks: bool) -> None:
    people.asks, people.grants = asks, False
    hold(people, "1-0").place(means(1))
    second = hold(people)
    assert second.place(means(2)) == (None if asks else NO_ROOM)
    assert people.run.state.shortfall == (None if asks else "tool_calls")
    assert await second.room() == (NO_ROOM if asks else None)
    assert people.run.state.shortfall == "tool_calls"
    assert people.asked == int(asks)


async def test_an_edited_call_waits_for_nobody_while_its_editor_does(people: People) -> None:
    first = hold(people, "1-0")
    first.place(means(1))
    limits = Limits(tool_calls=0, exposure=people.run.state.budget.limits.exposure)
    people.run.apply(Granted("nobody", "a limit that shrank", Limits(), limits))
    assert first.changed(means(1)) is None
    assert "1-0" in people.run.state.running
    assert first.changed(means(2)) is None
    assert (people.asked, "1-0" in people.run.state.running) == (0, False)
    assert await first.room() is None
    assert "1-0" in people.run.state.running


async def test_what_a_call_means_is_looked_at_anew_when_there_is_room(people: People) -> None:
    hold(people, "1-0").place(means(7))
    second = hold(people)
    assert second.place(means(2)) is None
    assert await second.room() is None
    assert second.asks is not None
    assert second.asks.groups == ("finance",)
    assert people.run.state.budget.held.exposure == {"refunds": 7}
