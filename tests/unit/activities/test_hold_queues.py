"""The engine holds what incidents want held, and gives each limit back once, whoever came first or was killed."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.hold_queues import HoldQueues
from backstay.contracts.control import StopOrder
from backstay.contracts.queue_hold import (
    EngineHold,
    FleetsInput,
    FoundFleets,
    HoldInput,
    QueueHold,
    QueueLimit,
    QueueUse,
)
from backstay.errors import HistoryError
from backstay.kernel.control import Canary, Incident, InForce, Mode, Stage, Told
from backstay.kernel.engine import CallKind
from backstay.kernel.scope import Scope

OLGA = Told("olga@example.com", "it pays twice", 1)
BEFORE = QueueLimit(rate=475_000, why="475 rpm, set by olga")
MAIN, EFFECTS = "model-main", "agents-effects"
QUEUES = [
    QueueUse(queue=MAIN, kind=CallKind.MODELS, alone=True, uses={"desk": ["gpt"]}),
    QueueUse(queue=EFFECTS, kind=CallKind.TOOLS, alone=True, uses={"desk": ["pay"]}),
    QueueUse(queue="agents", kind=CallKind.TOOLS, alone=False, uses={"desk": ["look"]}),
]


def incident(incident_id: str = "i1", scope: str = "all", *, engine: bool = True) -> Incident:
    return Incident(incident_id, Scope.read(scope), Mode.FREEZE, OLGA, engine=engine)


class World:
    """The limits that the engine has, and what is in force; `meanwhile` happens once, after the next limit is set."""

    def __init__(self, *stops: Incident) -> None:
        self.limits: dict[str, QueueLimit] = {MAIN: BEFORE}
        self.state: InForce | None = InForce()
        self.refuses: str | None = None
        self.broken: str | None = None
        self.silent = False
        self.meanwhile: Callable[[], None] = lambda: None
        self.writes = 0
        self._env = ActivityEnvironment()
        for one in stops:
            self.put(one)

    def put(self, one: Incident) -> Incident:
        assert self.state is not None
        self.state = replace(self.state, incidents={**self.state.incidents, one.id: one})
        return one

    async def fleets(self) -> FoundFleets:
        return FoundFleets(task_queues=["agents"])

    async def limit_of(self, queue: str) -> QueueLimit | str:
        if queue == self.broken:
            if self.silent:
                raise HistoryError("the engine could not be asked: too long")
            return "the engine refuses: it is no name"
        return self.limits.get(queue, QueueLimit())

    async def limit(self, queue: str, limit: QueueLimit) -> str | None:
        if self.refuses is None:
            self.limits[queue] = limit
            self.writes += 1
        happens, self.meanwhile = self.meanwhile, lambda: None
        happens()
        return self.refuses

    async def stop(self, order: StopOrder) -> str | None:
        raise NotImplementedError

    async def in_force(self) -> InForce:
        if self.state is None:
            raise HistoryError("the control plane does not run")
        return self.state

    async def settle(self, one: Incident, held: EngineHold | None = None, *, silent: bool = False) -> EngineHold:
        queues = [two.model_copy(update={"uses": None}) for two in QUEUES[:1]] if silent else QUEUES
        given = HoldInput(incident=one, queues=queues, held=held.held if held else [])
        return await self._env.run(HoldQueues(self, self).hold, given)

    async def found(self) -> FoundFleets:
        return await self._env.run(HoldQueues(self, self).find, FleetsInput())

    def held(self, queue: str = MAIN) -> tuple[str, ...]:
        """The incidents that hold a queue."""
        limit = self.limits.get(queue, QueueLimit())
        hold = QueueHold.read(limit.rate, limit.why)
        return hold.incidents if hold else ()


def lifted(one: Incident, *stages: Stage) -> Incident:
    return replace(one, open=frozenset(stages), ended_ms=5 if Stage.STARTS in stages else None)


async def test_queues_are_held_with_the_limit_from_before_and_get_it_back() -> None:
    world = World(stop := incident())
    hold = await world.settle(stop)
    assert {one.queue: (one.rate, one.why) for one in hold.held} == {EFFECTS: (None, ""), MAIN: (475_000, BEFORE.why)}
    assert [one.queue for one in hold.unheld] == ["agents"]
    assert (world.limits[MAIN].rate, world.held(), world.held(EFFECTS)) == (0, ("i1",), ("i1",))
    done = await world.settle(world.put(lifted(stop, *Stage)), held=hold)
    assert done == EngineHold()
    assert world.limits == {MAIN: BEFORE, EFFECTS: QueueLimit()}


async def test_the_same_once_more_changes_nothing() -> None:
    world = World(stop := incident())
    first = await world.settle(stop)
    writes = world.writes
    assert await world.settle(stop, held=first) == first
    assert await world.settle(stop) == first  # as after a worker that was killed before it could say what it did
    assert world.writes == writes
    over = world.put(lifted(stop, *Stage))
    await world.settle(over, held=first)
    writes = world.writes
    await world.settle(over, held=first)
    assert world.writes == writes


async def test_calls_of_models_are_let_through_with_their_stage_and_tools_with_theirs() -> None:
    world = World(stop := incident())
    hold = await world.settle(stop)
    hold = await world.settle(world.put(lifted(stop, Stage.READS)), held=hold)
    assert (world.held(), world.held(EFFECTS)) == (("i1",), ("i1",))
    hold = await world.settle(world.put(lifted(stop, Stage.READS, Stage.MODELS)), held=hold)
    assert (world.limits[MAIN], world.held(EFFECTS)) == (BEFORE, ("i1",))
    assert [one.queue for one in hold.held] == [EFFECTS]


async def test_runs_that_go_first_free_the_queues_and_a_second_trip_holds_them_again() -> None:
    world = World(stop := incident())
    hold = await world.settle(stop)
    first = replace(stop, canary=Canary(frozenset({"run-1"}), Stage.STARTS, 60))
    hold = await world.settle(world.put(first), held=hold)
    assert (world.limits[MAIN], hold) == (BEFORE, EngineHold())
    await world.settle(world.put(stop), held=hold)
    assert world.held() == ("i1",)


async def test_of_two_incidents_the_last_one_gives_back_what_was_there_before_the_first() -> None:
    world = World(one := incident("i1"), two := incident("i2", "agent:desk"))
    first, second = await world.settle(one), await world.settle(two)
    assert world.held() == ("i1", "i2")
    await world.settle(world.put(lifted(one, *Stage)), held=first)
    assert (world.held(), world.limits[MAIN].rate) == (("i2",), 0)
    await world.settle(world.put(lifted(two, *Stage)), held=second)
    assert world.limits[MAIN] == BEFORE


async def test_an_incident_that_comes_while_another_one_lets_go_keeps_the_queue_closed() -> None:
    world = World(one := incident("i1"))
    hold = await world.settle(one)
    world.meanwhile = lambda: (world.put(incident("i2", "agent:desk")), None)[1]
    await world.settle(world.put(lifted(one, *Stage)), held=hold)
    assert (world.held(), world.limits[MAIN].rate) == (("i2",), 0)
    await world.settle(world.put(lifted(incident("i2", "agent:desk"), *Stage)))
    assert world.limits[MAIN] == BEFORE


async def test_an_incident_that_nobody_knows_any_more_keeps_no_queue() -> None:
    world = World(one := incident("i1"))
    world.limits[MAIN] = QueueLimit(rate=0, why=QueueHold(("gone", "i1"), 475_000, BEFORE.why).words)
    await world.settle(world.put(lifted(one, *Stage)))
    assert world.limits[MAIN] == BEFORE


async def test_while_nobody_confirms_what_is_in_force_the_other_incidents_keep_it() -> None:
    world = World(one := incident("i1"))
    world.limits[MAIN] = QueueLimit(rate=0, why=QueueHold(("gone", "i1"), 475_000, BEFORE.why).words)
    world.state = InForce(confirmed=False)
    await world.settle(lifted(one, *Stage))
    assert world.held() == ("gone",)


async def test_a_queue_that_somebody_opened_by_hand_is_held_again_and_gets_that_limit_back() -> None:
    world = World(one := incident())
    hold = await world.settle(one)
    world.limits[MAIN] = QueueLimit(rate=60_000, why="by hand")
    hold = await world.settle(one, held=hold)
    assert (world.held(), world.limits[MAIN].rate) == (("i1",), 0)
    await world.settle(world.put(lifted(one, *Stage)), held=hold)
    assert world.limits[MAIN] == QueueLimit(rate=60_000, why="by hand")


async def test_a_queue_that_no_fleet_tells_of_any_more_stays_held_until_it_is_lifted() -> None:
    world = World(one := incident(scope="agent:desk"))
    hold = await world.settle(one)
    again = await world.settle(one, held=hold, silent=True)
    assert {two.queue for two in again.held} == {MAIN, EFFECTS}
    assert again.unheld == []
    await world.settle(world.put(lifted(one, *Stage)), held=again, silent=True)
    assert world.limits == {MAIN: BEFORE, EFFECTS: QueueLimit()}


async def test_an_engine_that_refuses_is_told_as_one_that_cannot_hold() -> None:
    world = World(one := incident())
    world.refuses = "the engine refuses: not supported"
    hold = await world.settle(one)
    assert hold.held == []
    assert {one.queue: one.why for one in hold.unheld if one.queue != "agents"} == {
        EFFECTS: world.refuses,
        MAIN: world.refuses,
    }


async def test_a_limit_that_cannot_be_given_back_is_given_back_later() -> None:
    world = World(one := incident())
    hold = await world.settle(one)
    world.refuses = "the engine refuses: denied"
    with pytest.raises(ApplicationError, match="denied") as failed:
        await world.settle(world.put(lifted(one, *Stage)), held=hold)
    assert not failed.value.non_retryable


@pytest.mark.parametrize("silent", [False, True])
async def test_a_queue_that_the_engine_tells_nothing_of_keeps_no_other_one_as_it_is(silent: bool) -> None:
    world = World(one := incident())
    hold = await world.settle(one)
    world.limits = {MAIN: BEFORE}
    world.broken, world.silent = EFFECTS, silent
    if silent:
        with pytest.raises(ApplicationError, match="too long"):
            await world.settle(one)
    else:
        assert (EFFECTS, "the engine refuses: it is no name") in [
            (two.queue, two.why) for two in (await world.settle(one)).unheld
        ]
    assert world.held() == ("i1",)
    with pytest.raises(ApplicationError):
        await world.settle(world.put(lifted(one, *Stage)), held=hold)
    assert world.limits[MAIN] == BEFORE
    if not silent:
        assert await world.settle(lifted(one, *Stage)) == EngineHold()


async def test_what_the_control_plane_knows_counts_more_than_what_the_sweep_was_told_before() -> None:
    world = World(stop := incident())
    hold = await world.settle(stop)
    world.put(lifted(stop, *Stage))
    assert await world.settle(stop, held=hold) == EngineHold()
    assert world.limits[MAIN] == BEFORE


async def test_without_a_control_plane_queues_are_held_and_none_is_freed() -> None:
    world = World()
    world.state = None
    hold = await world.settle(stop := incident())
    assert world.held() == ("i1",)
    with pytest.raises(ApplicationError, match="does not run"):
        await world.settle(lifted(stop, Stage.READS, Stage.MODELS), held=hold)
    with pytest.raises(ApplicationError, match="does not run"):
        await world.settle(lifted(stop, *Stage), held=hold)
    assert world.held() == ("i1",)


async def test_an_incident_without_the_engine_holds_nothing() -> None:
    world = World(stop := incident(engine=False))
    assert await world.settle(stop) == EngineHold()
    assert world.limits == {MAIN: BEFORE}


async def test_fleets_are_found_unless_the_engine_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    assert (await world.found()).task_queues == ["agents"]

    async def silent() -> FoundFleets:
        raise HistoryError("the engine could not be asked")

    monkeypatch.setattr(world, "fleets", silent)
    with pytest.raises(ApplicationError, match="could not be asked"):
        await world.found()
