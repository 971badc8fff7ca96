"""Decisions over the queue of a provider's account: attempts that had their turn, and fakes of what they meet there."""

import asyncio
import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.conversation import Conversations
from activities.decide import Asking, Decide, Queued
from backstay.contracts.conversation import ModelReply
from backstay.contracts.decision import BilledUsage, DecideInput, Decision
from backstay.errors import ForeignRunError, ModelError

from .fakes import RUN, FakeHistory, FakeModels
from .world import World

ANSWER = Decision(text="done")
REPLY = ModelReply(ANSWER, BilledUsage(input_tokens=7, output_tokens=3), "m-2026")


def given(**changes: Any) -> DecideInput:
    return DecideInput(step=1, run_key="key", max_output_tokens=50, attempts=2).model_copy(update=changes)


def model_error(*, retryable: bool = True, billed: bool = True, retry_after: float | None = None) -> ModelError:
    return ModelError("overloaded", "busy", retryable=retryable, billed=billed, retry_after=retry_after)


def rate_limited(**changes: Any) -> ModelError:
    return ModelError("rate_limited", "HTTP 429", retryable=True, billed=False, **changes)


@dataclass
class FakeQuotas:
    """Keeps the refusals that it was told of."""

    told: list[tuple[str, float | None]] = field(default_factory=list[tuple[str, float | None]])

    def throttled(self, account: str, wait_seconds: float | None) -> None:
        self.told.append((account, wait_seconds))


@dataclass
class FakeTurns:
    """Keeps which accounts took a turn; while it is `closed`, nobody gets one."""

    taken: list[str] = field(default_factory=list[str])
    closed: bool = False
    waiting: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, account: str) -> None:
        self.taken.append(account)
        if self.closed:
            self.waiting.set()
            await asyncio.Event().wait()


class Turn:
    """An attempt that had its turn in the queue of the account `main`, some seconds ago."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.quotas = FakeQuotas()
        self.turns = FakeTurns()
        self.elsewhere = FakeHistory()
        self.models = FakeModels(REPLY)
        self.others = Asking(Conversations(self.elsewhere, 1_000_000), self.models, world.control)

    def admit_elsewhere(self, account: str | None) -> None:
        """Makes this a run of another task queue, which was admitted with an account."""
        self.world.history.fault = ForeignRunError("another queue's")
        admitted = self.world.history.openings[RUN]
        model = admitted.admission.model.model_copy(update={"account": account})
        admission = admitted.admission.model_copy(update={"model": model})
        self.elsewhere.openings[RUN] = admitted.model_copy(update={"admission": admission, "agent": "stranger"})

    def decide(self) -> Decide:
        world = self.world
        return Decide(world.asking, world.alarms, Queued("main", self.quotas, self.turns, self.others))

    async def failed(self, attempt: int = 1, *details: Any, seconds_ago: float = 0.0) -> ApplicationError:
        world = self.world
        world.attempt(attempt, *details)
        started = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        world.env.info = dataclasses.replace(
            world.env.info, started_time=started, schedule_to_close_timeout=timedelta(days=7)
        )
        with pytest.raises(ApplicationError) as caught:
            await world.env.run(self.decide().decide, given(attempts=9))
        return caught.value
