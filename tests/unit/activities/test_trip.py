"""`trip` and `lifted`: what the control plane is told of a breaker, and asked."""

from dataclasses import dataclass, field, replace

import pytest
from temporalio.exceptions import ApplicationError

from activities.trip import Trips
from backstay.contracts.breakers import LiftedInput, LiftedResult, TripInput, TripResult
from backstay.contracts.control import StopOrder
from backstay.errors import HistoryError
from backstay.kernel.breaker import Then, Trip
from backstay.kernel.control import Canary, Incident, InForce, Mode, Stage, Told
from backstay.kernel.scope import Scope

from .world import World

CLERK = Scope.read("agent:clerk")
TRIP = Trip("shaky", "d", CLERK, Then.FREEZE, 1_000, 61_000, "9 of 10 failed", agents=("clerk",), runs=("run-1",))


@dataclass
class FakeOrders:
    """A control plane; while `fault` is set it does not answer, while `refusal` is set it refuses."""

    state: InForce = field(default_factory=InForce)
    told: list[StopOrder] = field(default_factory=list[StopOrder])
    fault: HistoryError | None = None
    refusal: str | None = None

    async def stop(self, order: StopOrder) -> str | None:
        if self.fault:
            raise self.fault
        self.told.append(order)
        return self.refusal

    async def in_force(self) -> InForce:
        if self.fault:
            raise self.fault
        return self.state


@pytest.mark.parametrize(("then", "freeze"), [(Then.FREEZE, True), (Then.STOP, False)])
async def test_the_stop_names_the_breaker_and_what_it_saw(world: World, then: Then, freeze: bool) -> None:
    orders = FakeOrders()
    trip = Trip("shaky", "d", CLERK, then, 1_000, 61_000, "9 of 10 failed")
    assert await world.env.run(Trips(orders).trip, TripInput(trip=trip)) == TripResult()
    [order] = orders.told
    assert (order.by, order.reason, order.scope, order.freeze) == (
        "breaker shaky",
        "9 of 10 failed",
        str(CLERK),
        freeze,
    )
    assert order.incident_id == trip.incident_id


async def test_a_refusal_is_a_result_and_a_silence_is_tried_again(world: World) -> None:
    refused = await world.env.run(Trips(FakeOrders(refusal="ended")).trip, TripInput(trip=TRIP))
    assert refused.refused == "ended"
    silent = Trips(FakeOrders(fault=HistoryError("the control plane does not answer")))
    for asked in (
        world.env.run(silent.trip, TripInput(trip=TRIP)),
        world.env.run(silent.lifted, LiftedInput(incidents=["i1"])),
    ):
        with pytest.raises(ApplicationError, match="does not answer") as caught:
            await asked
        assert (caught.value.type, caught.value.non_retryable) == ("HistoryError", False)


async def test_an_incident_counts_as_lifted_from_its_last_lift_and_one_that_is_forgotten_long_ago(world: World) -> None:
    stopped = Incident("i2", CLERK, Mode.FREEZE, Told("b", "why", 1))
    lifted = replace(stopped, id="i1", lifted=(Told("o", "ok", 5), Told("o", "ok", 7)), open=frozenset({Stage.READS}))
    state = InForce(incidents={"i1": lifted, "i2": stopped})
    asked = LiftedInput(incidents=["i1", "i2", "i3"])
    found = await world.env.run(Trips(FakeOrders(state)).lifted, asked)
    assert found == LiftedResult(lifted={"i1": 7, "i3": 0}, held=["i2"])
    lost = InForce(confirmed=False)
    assert (await world.env.run(Trips(FakeOrders(lost)).lifted, asked)).lifted == {}


async def test_an_incident_whose_canaries_failed_is_in_force_again_though_it_had_been_lifted(world: World) -> None:
    stopped = Incident("i1", CLERK, Mode.FREEZE, Told("b", "why", 1))
    canary = Canary(frozenset({"r1"}), Stage.STARTS, 60)
    watched = replace(stopped, canary=canary, lifted=(Told("o", "try it", 5),))
    again = replace(stopped, lifted=(*watched.lifted, Told("the runs that went first", "1 of 1 failed", 7)))
    ended = replace(again, open=frozenset(Stage), ended_ms=9, lifted=(*again.lifted, Told("o", "ok", 9)))
    asked, found = LiftedInput(incidents=["i1"]), list[LiftedResult]()
    for one in (watched, again, ended):
        found.append(await world.env.run(Trips(FakeOrders(InForce(incidents={"i1": one}))).lifted, asked))
    assert found == [
        LiftedResult(lifted={"i1": 5}),
        LiftedResult(lifted={}, held=["i1"]),
        LiftedResult(lifted={"i1": 9}),
    ]
