"""Stops close stages for what they cover, are lifted in stages, and are confirmed after the control plane was lost."""

from dataclasses import replace

import pytest

from backstay.kernel.control import (
    REMEMBERED,
    Block,
    Canary,
    Held,
    Incident,
    InForce,
    Mode,
    Refused,
    Stage,
    Told,
    stops_runs,
)
from backstay.kernel.scope import Scope, Subject

OLGA = Told("olga@example.com", "it pays twice", 1_000)
CALL = Subject("run-1", "clerk", "acme", tool="pay")
OTHER = Subject("run-2", "clerk", "globex", tool="pay")


def incident(scope: str = "tenant:acme", incident_id: str = "i1", mode: Mode = Mode.FREEZE) -> Incident:
    return Incident(incident_id, Scope.read(scope), mode, OLGA)


def stopped(scope: str = "tenant:acme") -> InForce:
    return changed(InForce().stop(incident(scope)))


def changed(state: InForce | Refused) -> InForce:
    assert isinstance(state, InForce)
    return state


def open_stages(state: InForce, subject: Subject = CALL) -> list[Stage]:
    return [stage for stage in Stage if state.holds(stage, subject) is None]


def test_a_stop_closes_every_gate_for_what_it_covers_and_none_else() -> None:
    state = stopped()
    assert open_stages(state) == []
    assert open_stages(state, OTHER) == list(Stage)
    assert state.holds(Stage.WRITES, CALL) == Held("i1", "tenant:acme is stopped by olga@example.com: it pays twice")


def test_a_stop_that_is_asked_for_again_is_the_same_one() -> None:
    state = stopped()
    assert state.stop(incident()) is state
    assert state.stop(incident("all")) is Refused.OTHER
    ended = changed(state.lift("i1", Stage.STARTS, OLGA))
    assert ended.stop(incident()) is Refused.ENDED


def test_the_engine_may_be_called_in_later_and_stays_in() -> None:
    state = stopped()
    more = changed(state.stop(replace(incident(), engine=True)))
    assert (more.incidents["i1"].engine, more.version) == (True, state.version + 1)
    assert more.stop(incident()) is more
    assert more.stop(replace(incident(), engine=True)) is more


def test_the_engine_holds_a_stage_until_it_is_open_or_some_runs_go_first() -> None:
    one = replace(incident(), engine=True)
    assert one.wants_engine(Stage.MODELS)
    assert not incident().wants_engine(Stage.MODELS)
    assert not replace(one, open=frozenset({Stage.MODELS})).wants_engine(Stage.MODELS)
    assert replace(one, open=frozenset({Stage.MODELS})).wants_engine(Stage.WRITES)
    assert not replace(one, ended_ms=5).wants_engine(Stage.MODELS)
    assert not replace(one, canary=Canary(frozenset({"run-1"}), Stage.MODELS, 60)).wants_engine(Stage.MODELS)


@pytest.mark.parametrize(
    ("stage", "opened"),
    [
        (Stage.READS, [Stage.READS]),
        (Stage.MODELS, [Stage.READS, Stage.MODELS]),
        (Stage.WRITES, [Stage.READS, Stage.MODELS, Stage.WRITES]),
        (Stage.STARTS, list(Stage)),
    ],
)
def test_a_stop_is_lifted_in_stages(stage: Stage, opened: list[Stage]) -> None:
    state = changed(stopped().lift("i1", stage, OLGA))
    assert open_stages(state) == opened
    assert state.incidents["i1"].lets_go("any")
    assert (state.stops == []) is (stage is Stage.STARTS)


def test_canaries_go_first_and_are_stopped_with_the_others_when_it_trips_again() -> None:
    state = changed(stopped("all").lift("i1", Stage.WRITES, OLGA, Canary(frozenset({"run-1"}), Stage.WRITES, 60)))
    assert open_stages(state) == list(Stage)
    assert [state.incidents["i1"].lets_go(run) for run in ("run-1", "run-2")] == [True, False]
    assert open_stages(state, OTHER) == []
    again = changed(state.trip_again("i1", OLGA))
    assert open_stages(again) == []
    assert len(again.incidents["i1"].lifted) == 2


def test_what_is_unknown_or_over_is_not_changed() -> None:
    ended = changed(stopped().lift("i1", Stage.STARTS, OLGA))
    assert ended.lift("i2", Stage.READS, OLGA) is Refused.UNKNOWN
    assert ended.lift("i1", Stage.READS, OLGA) is Refused.ENDED
    assert ended.trip_again("i2", OLGA) is Refused.UNKNOWN
    assert ended.trip_again("i1", OLGA) is Refused.ENDED


def test_only_the_incidents_that_ended_last_are_remembered() -> None:
    state = stopped()
    for number in range(REMEMBERED + 3):
        state = changed(changed(state.stop(incident("all", f"n{number}"))).lift(f"n{number}", Stage.STARTS, OLGA))
    assert len(state.incidents) == REMEMBERED + 1
    assert [one.id for one in state.stops] == ["i1"]


@pytest.mark.parametrize(
    ("agent", "tenant", "blocked"),
    [
        (None, None, True),
        ("clerk", None, True),
        ("clerk", "acme", True),
        ("till", None, False),
        (None, "globex", False),
    ],
)
def test_a_tool_is_blocked_for_whom_the_block_names(agent: str | None, tenant: str | None, blocked: bool) -> None:
    block = Block("pay", agent, tenant, OLGA)
    state = InForce().block(block)
    assert (state.blocked(CALL) is block) is blocked
    assert state.blocked(replace(CALL, tool="look")) is None
    again = state.block(replace(block, told=Told("ann", "still", 2_000)))
    assert len(again.blocks) == 1
    assert again.allow(block).blocks == ()
    assert state.allow(Block("look", agent, tenant, OLGA)) is state


def test_a_tenants_runs_at_once_are_limited_until_the_limit_is_taken_away() -> None:
    state = InForce().limit("acme", 5).limit("acme", 3).limit("globex", 1)
    assert state.runs == {"acme": 3, "globex": 1}
    assert (state.at_once("acme"), state.at_once("other")) == (3, None)
    assert state.limit("acme", None).runs == {"globex": 1}


def test_a_state_that_nobody_confirmed_allows_reads_alone() -> None:
    lost = InForce(confirmed=False)
    assert open_stages(lost) == [Stage.READS]
    assert lost.holds(Stage.STARTS, CALL) == Held(
        None, "the control plane was lost, and nobody has confirmed what is in force"
    )


def test_a_confirmed_state_has_what_was_known_and_what_came_since() -> None:
    known = stopped("all").block(Block("pay", None, None, OLGA)).limit("acme", 5)
    since = changed(InForce(confirmed=False).stop(incident("tool:pay", "i2"))).block(Block("pay", None, None, OLGA))
    state = since.limit("acme", 2).confirm(known)
    assert state.confirmed
    assert [one.id for one in state.stops] == ["i1", "i2"]
    assert (len(state.blocks), state.runs) == (1, {"acme": 2})
    assert state.version > known.version


@pytest.mark.parametrize(
    ("scope", "mode", "stops"),
    [
        ("all", Mode.STOP, True),
        ("agent:a", Mode.STOP, True),
        ("tool:pay", Mode.STOP, False),
        ("all", Mode.FREEZE, False),
    ],
)
def test_a_stop_of_whole_runs_ends_them(scope: str, mode: Mode, stops: bool) -> None:
    assert stops_runs(incident(scope, mode=mode)) is stops
