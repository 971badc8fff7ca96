"""Starts runs of every kind, keeps so many of them open, and waits for their ends."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from backstay.contracts import names

from .people import People
from .plans import Plan, plans
from .shop import effects_in
from .world import PATIENCE, World, insist, now

WHO = {"by": "olga@example.com", "reason": "wait a moment"}
FIRST = 0.8
"""The share of the fleet that is started before any harm is done."""
SELDOM = 5
"""How much longer it takes until the next start while starts are refused."""


@dataclass(slots=True)
class Fleet:
    """The runs of a world."""

    world: World
    people: People
    planned: Iterator[Plan]

    @classmethod
    def of(cls, world: World, people: People) -> "Fleet":
        """Plans a fleet."""
        return cls(world, people, plans(world.dice("plans")))

    async def begin(self) -> None:
        """Starts the first runs, and waits until they are at work."""
        for _ in range(round(self.world.size.fleet * FIRST)):
            await self._start(next(self.planned))
        async with asyncio.timeout(PATIENCE):
            while not effects_in(self.world.books):
                await asyncio.sleep(0.1)

    async def keep_going(self) -> None:
        """Starts a run whenever there is room in the fleet, until the time is over."""
        dice, until = self.world.dice("starts"), now() + self.world.size.seconds
        async with asyncio.TaskGroup() as group:
            while now() < until and len(self.world.started) < self.world.size.runs:
                if await self._open() < self.world.size.fleet:
                    plan = next(self.planned)
                    await self._start(plan)
                    if plan.of.paused:
                        group.create_task(self._paused(plan.run, dice.uniform(1, 4)))
                await asyncio.sleep(dice.uniform(0.1, 0.8) * (SELDOM if self.world.stopped else 1))

    async def _open(self) -> int:
        counted = await insist(lambda: self.world.client.count_workflows(f"{self._mine} AND CloseTime IS NULL"))
        left = sum(plan.of.left for plan in self.world.started.values())
        return max(0, counted.count - left) if counted else self.world.size.fleet

    @property
    def _mine(self) -> str:
        return f"WorkflowType = '{names.AGENT_RUN}' AND TaskQueue = '{self.world.queue}'"

    async def _start(self, plan: Plan) -> None:
        self.world.started[plan.run] = plan

        async def start() -> None:
            with contextlib.suppress(WorkflowAlreadyStartedError):  # the answer to the start before was lost
                await self.world.client.start_workflow(
                    names.AGENT_RUN, plan.request, id=plan.run, task_queue=self.world.queue
                )

        await insist(start)

    async def _paused(self, run: str, seconds: float) -> None:
        await self.people.tell(run, names.PAUSE, WHO, signal=True)
        await asyncio.sleep(seconds)
        await self.people.tell(run, names.RESUME, WHO, signal=True)

    async def until_over(self) -> list[str]:
        """Waits until all have ended, or wait for people who do not answer; returns those that do not."""
        waited_for = {run for run, plan in self.world.started.items()}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while waited_for:
                    waited_for -= {run for run in waited_for if await self._is_over(run)}
                    await asyncio.sleep(0.3)
        return sorted(waited_for)

    async def _is_over(self, run: str) -> bool:
        with contextlib.suppress(RPCError):
            if (await self.world.handle(run).describe()).close_time is not None:
                return True
            if self.world.started[run].of.left:
                return (await self.world.handle(run).query(names.STATUS))["state"] == "waiting_approval"
        return False
