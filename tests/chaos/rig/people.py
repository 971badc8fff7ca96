"""The people of the fleet: they answer once, twice, late, wrongly or in words that nobody can read."""

import asyncio
import contextlib
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from temporalio.service import RPCError

from backstay.client.fleet import Waiting, waiting_approvals
from backstay.contracts import names
from backstay.errors import BackstayError

from .shop import effects_in
from .world import World, insist, now

LOOKS = 0.3
ASKED_AGAIN = 2.0
"""The seconds after which somebody looks whether an answer was taken; a frozen run takes none."""
MALFORMED: tuple[list[Any], ...] = (
    [],
    [None],
    ["yes"],
    [{"approval_id": 7}],
    [{"approval_id": "apr_0", "by": "alice"}, {"by": "bob"}],
    [{"approval_id": "apr_0", "by": "alice", "more": True}],
    [{"by": ["alice"], "reason": {"a": 1}}],
    [[1, 2, 3]],
)
"""What no handler can read, each as the arguments of a message."""
READ_IT = ("yes", "twice", "no", "late", "outsider", "malformed")
WEIGHTS = (45, 15, 10, 10, 10, 10)


@dataclass(slots=True)
class People:
    """Those who answer approvals.

    Attributes:
        said: the answers that members gave to each approval.
        sent: every message to a run, in order: its name and its arguments.
    """

    world: World
    said: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    sent: dict[str, list[tuple[str, list[Any]]]] = field(default_factory=lambda: defaultdict(list))
    _busy: dict[str, float] = field(default_factory=dict[str, float])

    async def answer(self) -> None:
        """Answers whatever is asked, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                for one in await self._waiting():
                    again = self._busy.get(one.approval.approval_id)
                    if again is None or again < now():
                        self._busy[one.approval.approval_id] = float("inf")
                        group.create_task(self._answered(one, first=again is None))
                await asyncio.sleep(LOOKS)

    async def _waiting(self) -> list[Waiting]:
        with contextlib.suppress(BackstayError, RPCError):
            found = await waiting_approvals(self.world.client, task_queue=self.world.queue)
            return [one for one in found if not self.world.started[one.run_id].of.left]
        return []

    async def _answered(self, one: Waiting, first: bool) -> None:
        asked = one.approval
        if asked.kind == "outcome_unknown":
            await self._tell_what_happened(one)
        else:
            dice = self.world.dice("answer", one.run_id, asked.args.get("item"))
            how = dice.choices(READ_IT, WEIGHTS)[0] if first and not self.world.calm.is_set() else "yes"
            await self._answer(one.run_id, asked.approval_id, how, asked.expires_at, dice)
        self._busy[asked.approval_id] = now() + ASKED_AGAIN

    async def _answer(self, run: str, approval_id: str, how: str, expires_at: str, dice: random.Random) -> None:
        yes: dict[str, Any] = {"approval_id": approval_id, "by": dice.choice(("alice", "bob"))}
        match how:
            case "no":
                self.said[approval_id].append("no")
                await self.tell(run, names.DENY, yes, signal=dice.random() < 0.3)
                return
            case "late":
                left = datetime.fromisoformat(expires_at).timestamp() - now()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.world.calm.wait(), max(0.0, left) + 0.2)
            case "outsider":
                await self.tell(run, names.APPROVE, {**yes, "by": "mallory"}, signal=True)
            case "malformed":
                await self.tell(run, names.APPROVE, *dice.choice(MALFORMED), signal=dice.random() < 0.5)
            case _:
                pass
        self.said[approval_id].append("yes")
        times = 2 if how == "twice" else 1
        signals = [dice.random() < 0.3 for _ in range(times)]
        await asyncio.gather(*(self.tell(run, names.APPROVE, yes, signal=one) for one in signals))

    async def _tell_what_happened(self, one: Waiting) -> None:
        asked = one.approval
        done = any(one.item == asked.args["item"] for one in effects_in(self.world.books))
        said = {"approval_id": asked.approval_id, "by": "olga", "answer": "happened" if done else "not_happened"}
        self.said[asked.approval_id].append(said["answer"])
        await self.tell(one.run_id, names.ANSWER, {**said, "result": "wired"} if done else said)

    async def tell(self, run: str, name: str, *args: Any, signal: bool = False) -> None:
        """Sends a message to a run, which may refuse it or be over."""
        self.sent[run].append((name, [*args]))
        handle = self.world.handle(run)
        send = handle.signal if signal else handle.execute_update
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(insist(lambda: _sent(send, name, args)), 20)


async def _sent(send: Any, name: str, args: tuple[Any, ...]) -> None:
    try:
        await send(name, args=list(args))
    except RPCError as error:
        if error.status.name != "NOT_FOUND":  # it is over
            raise
