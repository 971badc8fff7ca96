"""The engine holds a queue only where nothing else than calls in the scope of a stop goes over it."""

import pytest

from backstay.kernel.control import Stage
from backstay.kernel.engine import CallKind, Plan, Traffic, merged, planned
from backstay.kernel.scope import Scope

MODELS, TOOLS = CallKind.MODELS, CallKind.TOOLS
RUNS = "agents"


def traffic(queue: str, kind: CallKind = MODELS, **uses: str) -> Traffic:
    """The calls of a queue: by agent the models or tools, separated by blanks."""
    return Traffic(queue, kind, queue != RUNS, {agent: frozenset(names.split()) for agent, names in uses.items()})


FLEET = [
    traffic("model-main", desk="gpt", crew="gpt mini"),
    traffic("model-own", crew="big"),
    traffic(RUNS, desk="local"),
    traffic(RUNS, TOOLS, crew="look", desk="look"),
    traffic("agents-effects", TOOLS, crew="pay"),
]


def plan(scope: str, *more: Traffic) -> Plan:
    return planned(Scope.read(scope), [*FLEET, *more])


def unheld(scope: str) -> dict[tuple[str, CallKind], str]:
    return {(one.queue, one.kind): one.why for one in plan(scope).unheld}


def test_a_stop_of_everything_holds_each_queue_but_that_of_the_runs_themselves() -> None:
    assert plan("all").held == {"agents-effects": TOOLS, "model-main": MODELS, "model-own": MODELS}
    why = unheld("all")
    assert list(why) == [(RUNS, MODELS), (RUNS, TOOLS)]
    assert (
        why[RUNS, TOOLS]
        == "the runs' own queue carries their calls of tools, and workers begin those without asking it"
    )


@pytest.mark.parametrize(
    ("scope", "held"),
    [
        ("agent:crew", {"agents-effects": TOOLS, "model-own": MODELS}),
        ("agent:desk", {}),
        ("model:big", {"model-own": MODELS}),
        ("model:gpt", {}),
        ("tool:pay", {"agents-effects": TOOLS}),
        ("tool:look", {}),
        ("tenant:acme", {}),
        ("tool:gpt", {}),
    ],
)
def test_a_narrower_stop_holds_the_queues_that_carry_its_calls_alone(scope: str, held: dict[str, CallKind]) -> None:
    assert plan(scope).held == held


def test_a_queue_that_others_use_too_is_named_with_one_of_them() -> None:
    assert unheld("model:gpt") == {
        ("model-main", MODELS): "it carries calls outside of the scope, such as of crew to mini"
    }
    assert unheld("tenant:acme")["model-main", MODELS] == "all tenants share it"
    assert list(unheld("tool:look")) == [(RUNS, TOOLS)]
    assert unheld("tool:gpt") == {}


def test_what_nobody_tells_the_calls_of_is_held_only_where_everything_is_stopped() -> None:
    silent = Traffic("model-other", MODELS, True, None)
    assert plan("all", silent).held["model-other"] is MODELS
    assert "model-other" not in plan("agent:crew", silent).held
    [why] = [one.why for one in plan("agent:crew", silent).unheld if one.queue == "model-other"]
    assert why == "no worker says which calls it carries"
    assert "other" not in plan("all", Traffic("other", TOOLS, False, None)).held


def test_what_fleets_tell_of_one_queue_adds_up() -> None:
    two = [traffic("model-main", desk="gpt"), traffic("model-main", desk="mini", crew="gpt")]
    assert merged(two) == [traffic("model-main", desk="gpt mini", crew="gpt")]
    assert merged([*two, Traffic("model-main", MODELS, True, None)]) == [Traffic("model-main", MODELS, True, None)]
    assert planned(Scope.read("agent:desk"), two[:1]).held == {"model-main": MODELS}
    assert planned(Scope.read("agent:desk"), two).held == {}


def test_calls_are_closed_up_to_a_stage() -> None:
    assert (MODELS.stage, TOOLS.stage) == (Stage.MODELS, Stage.WRITES)
