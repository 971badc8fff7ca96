"""The harm that is done to the fleet: a table, from which dice choose; whatever is harmed is mended after a while."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from temporalio.service import RPCError, RPCStatusCode

from backstay.client import control_plane
from backstay.contracts import names
from backstay.contracts.control import AccessOrder, ConfirmOrder, LiftOrder, Order, StopOrder
from backstay.kernel.keys import ledger_id

from .people import MALFORMED, People
from .world import Closed, World, insist, now

WHO: dict[str, Any] = {"by": "olga@example.com", "reason": "the rig"}
SCOPES = ("all", "agent:clerk", "tenant:acme", "tool:refund", "tool:send", "model:gpt-5-mini")
STAGES = ("reads", "models", "writes")
OF_CONTROL = "control plane"
TOLD = (names.APPROVE, names.DENY, names.ANSWER, names.PAUSE, names.RESUME, names.GRANT, "unheard_of")


@dataclass(frozen=True, slots=True)
class Scene:
    """Whom a harm is done to, and the dice that say how."""

    world: World
    people: People
    dice: random.Random

    def a_while(self, least: float = 0.3) -> float:
        """Seconds for which something is away."""
        return self.dice.uniform(least, max(least, self.world.size.outage))

    def a_run(self) -> str | None:
        """One of the runs that were started last, which may be over."""
        latest = [*self.world.started][-self.world.size.fleet :]
        return self.dice.choice(latest) if latest else None


async def kill_worker(scene: Scene) -> None:
    scene.dice.choice(scene.world.crew.hands).kill()


async def freeze_worker(scene: Scene) -> None:
    await scene.dice.choice(scene.world.crew.hands).freeze(scene.a_while(1))


async def restart_server(scene: Scene) -> None:
    await scene.world.restart_server(scene.a_while())


async def cut_model(scene: Scene) -> None:
    scene.world.to_model.cut = True
    scene.world.to_model.sever()
    await asyncio.sleep(scene.a_while())
    scene.world.to_model.cut = False


async def lose_models_answers(scene: Scene) -> None:
    scene.world.to_model.mute = True
    await asyncio.sleep(scene.a_while() / 4)
    scene.world.to_model.mute = False


async def delay_model(scene: Scene) -> None:
    scene.world.to_model.delay = scene.dice.uniform(0.2, 2)
    await asyncio.sleep(scene.a_while(1))
    scene.world.to_model.delay = 0


async def cut_shop(scene: Scene) -> None:
    scene.world.to_shop.cut = True
    scene.world.to_shop.sever()
    await asyncio.sleep(scene.a_while() / 4)
    scene.world.to_shop.cut = False


async def lose_shops_answers(scene: Scene) -> None:
    scene.world.to_shop.mute = True
    await asyncio.sleep(scene.dice.uniform(0.7, 2))
    scene.world.to_shop.mute = False


async def delay_shop(scene: Scene) -> None:
    scene.world.to_shop.delay = scene.dice.uniform(0.2, 4)  # beyond the time limit of a tool, too
    await asyncio.sleep(scene.a_while(1))
    scene.world.to_shop.delay = 0


async def send_again(scene: Scene) -> None:
    """Sends what was sent to a run before, the last first."""
    known = [run for run, sent in scene.people.sent.items() if sent]
    if known:
        run = scene.dice.choice(known)
        for name, args in scene.people.sent[run][-4:][::-1]:
            await scene.people.tell(run, name, *args, signal=True)


async def send_nonsense(scene: Scene) -> None:
    if run := scene.a_run():
        for _ in range(3):
            name, args = scene.dice.choice(TOLD), scene.dice.choice(MALFORMED)
            await scene.people.tell(run, name, *args, signal=scene.dice.random() < 0.7)


async def resume_then_pause(scene: Scene) -> None:
    """Sends a resume before the pause that it is about, and both of them twice."""
    if run := scene.a_run():
        for name in (names.RESUME, names.PAUSE, names.PAUSE):
            await scene.people.tell(run, name, WHO, signal=True)
        await asyncio.sleep(scene.a_while())
        for name in (names.RESUME, names.RESUME):
            await scene.people.tell(run, name, WHO, signal=True)


async def kill_run(scene: Scene) -> None:
    if run := scene.a_run():
        await scene.people.tell(run, names.KILL, WHO, signal=True)


async def stop_and_lift(scene: Scene) -> None:
    """Stops a part of the fleet, holds it for a while, and lifts the stop at once or in stages."""
    scope, incident_id = scene.dice.choice(SCOPES), f"inc-{scene.dice.getrandbits(48):x}"
    freeze = scope in ("all", "agent:clerk") or (scope == "tenant:acme" and scene.dice.random() < 0.5)
    order = StopOrder(**WHO, incident_id=incident_id, scope=scope, freeze=freeze)
    stages = [*STAGES, "all"] if scene.dice.random() < 0.4 else ["all"]
    holds = scene.a_while(1)
    if await insist(lambda: control_plane.stop(scene.world.client, order)) is None:
        return
    place = len(scene.world.closed)
    scene.world.closed.append(Closed(f"the stop {incident_id}", scope, now()))
    if scene.dice.random() < 0.3:
        await insist(lambda: control_plane.stop(scene.world.client, order))
    await asyncio.sleep(holds)
    for stage in stages:
        lift = LiftOrder.model_validate({**WHO, "incident_id": incident_id, "stage": stage})
        if stage in ("writes", "all"):
            _open(scene.world, place)
        await insist(lambda lift=lift: control_plane.lift(scene.world.client, lift))


async def block_and_allow(scene: Scene) -> None:
    order = AccessOrder(**WHO, tool=scene.dice.choice(("store", "send")), tenant="plain")
    if await insist(lambda: control_plane.block(scene.world.client, order)) is not None:
        await asyncio.sleep(scene.a_while())
        await insist(lambda: control_plane.allow(scene.world.client, order))


async def end_control_plane(scene: Scene) -> None:
    """Terminates the control plane; somebody confirms after a while what was last known."""
    if await insist(lambda: terminated(scene.world, names.CONTROL_ID)):
        scene.world.closed.append(Closed(OF_CONTROL, "all", now()))
        await asyncio.sleep(scene.a_while(1))
        sent = now()
        # What is confirmed here is confirmed for whoever terminated it meanwhile, too: also while it is on its way.
        _confirmed(scene.world, sent)
        await insist(lambda: control_plane.confirm(scene.world.client, ConfirmOrder(**WHO)))
        _confirmed(scene.world, sent)


async def end_ledger(scene: Scene) -> None:
    tenant = scene.dice.choice(("acme", "busy", None))
    await insist(lambda: terminated(scene.world, ledger_id(tenant)))


async def end_breakers(scene: Scene) -> None:
    await insist(lambda: terminated(scene.world, names.BREAKERS_ID))


HARM: tuple[tuple[str, int, Callable[[Scene], Awaitable[None]]], ...] = (
    ("a worker is killed", 10, kill_worker),
    ("a worker is frozen", 8, freeze_worker),
    ("the server is restarted", 5, restart_server),
    ("the model is cut off", 6, cut_model),
    ("the model's answers are lost", 6, lose_models_answers),
    ("the model is slow", 5, delay_model),
    ("the shop is cut off", 6, cut_shop),
    ("the shop's answers are lost", 8, lose_shops_answers),
    ("the shop is slow", 5, delay_shop),
    ("messages come again", 8, send_again),
    ("messages make no sense", 8, send_nonsense),
    ("pause and resume are swapped", 6, resume_then_pause),
    ("a run is killed", 4, kill_run),
    ("a stop is ordered and lifted", 8, stop_and_lift),
    ("a tool is blocked and allowed", 4, block_and_allow),
    ("the control plane is terminated", 5, end_control_plane),
    ("a ledger is terminated", 6, end_ledger),
    ("the breakers are terminated", 2, end_breakers),
)


async def do_harm(world: World, people: People) -> None:
    """Does one harm after the other, some of them side by side, until the time is over; then waits for their ends."""
    dice = world.dice("harm")
    order = _order(dice)
    until = now() + world.size.seconds
    async with asyncio.TaskGroup() as group:
        while now() < until:
            name, do = next(order)
            world.harm[name] += 1
            group.create_task(_survived(name, do, Scene(world, people, random.Random(dice.random()))))
            await asyncio.sleep(dice.uniform(0.2, world.size.pace))


def _order(dice: random.Random) -> Any:
    """Yields each harm once, in some order, then those that the dice choose by weight."""
    yield from ((name, do) for name, _, do in dice.sample(HARM, len(HARM)))
    while True:
        [(name, _, do)] = dice.choices(HARM, [weight for _, weight, _ in HARM])
        yield name, do


async def _survived(name: str, do: Callable[[Scene], Awaitable[None]], scene: Scene) -> None:
    try:
        await do(scene)
    except Exception as error:
        error.add_note(f"while {name}")
        raise


def _open(world: World, place: int, at: float | None = None) -> None:
    if world.closed[place].until is None:
        world.closed[place] = replace(world.closed[place], until=at or now())


def _confirmed(world: World, at: float) -> None:
    for place, closed in enumerate(world.closed):
        if closed.why == OF_CONTROL:
            _open(world, place, at)


async def terminated(world: World, workflow_id: str) -> bool:
    """Terminates a workflow; tells whether there was one."""
    try:
        await world.handle(workflow_id).terminate(reason="the rig")
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


async def mend(world: World) -> None:
    """Makes everything whole again: ways, what is in force, and runs that somebody had paused."""
    world.to_model.mend()
    world.to_shop.mend()
    for place in range(len(world.closed)):
        _open(world, place)
    while not await insist(lambda: _nothing_in_force(world)):
        await asyncio.sleep(0.3)
    for run in world.started:
        with contextlib.suppress(RPCError):
            await world.handle(run).signal(names.RESUME, WHO)
    world.calm.set()


async def _nothing_in_force(world: World) -> bool:
    plane = await control_plane.in_force(world.client)
    if plane.lost or plane.view is None:
        await control_plane.confirm(world.client, ConfirmOrder(**WHO))
        return False
    state = plane.view.state
    orders: list[tuple[Callable[..., Awaitable[Any]], Order]] = [
        (control_plane.lift, LiftOrder(**WHO, incident_id=one.id)) for one in state.stops
    ]
    orders += [
        (control_plane.allow, AccessOrder(**WHO, tool=one.tool, agent=one.agent, tenant=one.tenant))
        for one in state.blocks
    ]
    for do, order in orders:
        await do(world.client, order)
    return not orders
