"""`announce`: a trip is told in the log, and at the webhooks of the agents with failures."""

import logging

import pytest
from temporalio.exceptions import ApplicationError

from activities.announce import Announce
from backstay.contracts.breakers import TripInput
from backstay.errors import NoticeError
from backstay.kernel.breaker import Then, Trip
from backstay.kernel.scope import Scope

from .world import World

PAY = Scope.read("tool:pay")
TRIP = Trip("shaky", "d", PAY, Then.FREEZE, 0, 60_000, "9 of 10 failed", agents=("clerk", "cook"), runs=("run-1",))


async def test_each_agent_with_failures_is_told_what_tripped_and_which_incident_to_lift(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await world.env.run(Announce(world.notifier).announce, TripInput(trip=TRIP))
    assert [agent for agent, _ in world.notifier.sent] == ["clerk", "cook"]
    assert world.notifier.sent[1][1] == {
        "event": "breaker_tripped",
        "breaker": "shaky",
        "agent": "cook",
        "scope": "tool:pay",
        "then": "freeze",
        "incident_id": TRIP.incident_id,
        "why": "9 of 10 failed",
        "runs": ["run-1"],
    }
    assert f"breaker shaky tripped: tool:pay is frozen, incident {TRIP.incident_id}: 9 of 10 failed" in caplog.text


async def test_a_webhook_that_does_not_take_it_is_tried_again(world: World) -> None:
    world.notifier.fault = NoticeError("the webhook of agent `clerk` answers 503")
    with pytest.raises(ApplicationError, match="answers 503") as caught:
        await world.env.run(Announce(world.notifier).announce, TripInput(trip=TRIP))
    assert (caught.value.type, caught.value.non_retryable) == (NoticeError.code, False)
