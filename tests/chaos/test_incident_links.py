"""Stops of runs that go on in one link of their chain after the other, all the time: none slips through between two."""

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from backstay.client import control_plane
from backstay.contracts import names
from backstay.contracts.control import LiftOrder

from .stopped_fleet import TOML, TOOLS, WHO, StoppedFleet, monotonic, stopped_fleet
from .worker_process import SOAK

Run = WorkflowHandle[Any, Any]
RUNS = 120 if SOAK else 6
FREEZES = 2 if SOAK else 0
LINK_EVENTS = 24
"""A link lasts for one or two steps, or for the second that the engine lets pass between the starts of two."""
LATEST = 5.0
"""The seconds after a stop is in force in which an effect may still begin."""
MESSAGES = 10
GATED = "call-gated"
"""A run with a call that is under way until a gate is opened."""


async def links(fleet: StoppedFleet) -> int:
    """Counts the links that have ended because another one goes on."""
    mine = f"WorkflowType = '{names.AGENT_RUN}' AND ExecutionStatus = 'ContinuedAsNew'"
    return (await fleet.client.count_workflows(mine)).count


async def go_on(fleet: StoppedFleet, more: int) -> None:
    """Waits until the fleet has gone on in so many more links, and then for a moment that dice choose."""
    before = await links(fleet)

    async def later() -> bool:
        return await links(fleet) >= before + more

    await fleet.until(later)
    await asyncio.sleep(random.random())


async def stopped(fleet: StoppedFleet, runs: Sequence[Run], *words: str) -> dict[str, Any]:
    """Stops the fleet, and looks at what is told of each run and at what still happened."""
    report = await fleet.told("stop", "--scope", "all", *words, *WHO)
    incident = await fleet.incident(report["incident_id"])
    in_force = monotonic(incident.told.at_ms)
    assert fleet.last_effect() < in_force + LATEST
    assert sorted(one["run_id"] for one in report["runs"]) == sorted(run.id for run in runs)
    print(f"{report['counts']} of {len(runs)}, last effect after {fleet.last_effect() - in_force:.2f} s")
    return report


async def into_another_link(fleet: StoppedFleet) -> None:
    """Sends a frozen run messages until it has gone on in another link, in which it is frozen too.

    It stands between two steps, because its call was under way when it was frozen.
    """
    latest = fleet.client.get_workflow_handle(GATED)
    fleet.open("go")
    link = (await latest.describe()).run_id

    async def later() -> bool:
        for _ in range(MESSAGES):
            await latest.signal("unheard_of")
        return (await latest.describe()).run_id != link

    await fleet.until(later)
    assert (await latest.query(names.STATUS))["state"] == "paused"


async def lift_in_stages(fleet: StoppedFleet, incident_id: str) -> None:
    for stage in ("reads", "models", "writes", "all"):
        order = {"by": "olga@example.com", "reason": "mended", "incident_id": incident_id, "stage": stage}
        await control_plane.lift(fleet.client, LiftOrder.model_validate(order))
    await fleet.until(fleet.all_let_go)


async def at_the_gate(fleet: StoppedFleet) -> bool:
    return any(mark.run == GATED for mark in fleet.marks())


async def frozen_and_let_go(fleet: StoppedFleet, runs: Sequence[Run]) -> None:
    """Freezes runs that go from link to link, and lets them go again in stages."""
    await go_on(fleet, len(fleet.runs))
    report = await stopped(fleet, runs, "--freeze")
    assert report["counts"] == {"frozen": len(runs)}
    still = len(fleet.marks())
    if len(runs) > len(fleet.runs):
        await into_another_link(fleet)
    assert len(fleet.marks()) == still
    await lift_in_stages(fleet, report["incident_id"])


@pytest.mark.soak
@pytest.mark.timeout(1800 if SOAK else 300)
async def test_runs_that_are_frozen_on_their_way_from_link_to_link_stand_still_and_finish(
    tmp_path: Path, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    async with stopped_fleet(tmp_path, agents, link_events=LINK_EVENTS) as fleet:
        await fleet.begin(RUNS, ("steps", "looks"))
        gated = await fleet.start(GATED)
        await fleet.until(lambda: at_the_gate(fleet))
        await frozen_and_let_go(fleet, [*fleet.runs, gated])
        assert (await gated.result())["stop_reason"] == "completed"
        for _ in range(FREEZES):
            await frozen_and_let_go(fleet, fleet.runs)
        fleet.enough = True
        assert await fleet.results() == {"completed": RUNS}
        assert not fleet.done_twice()
        print(f"{await links(fleet)} links")


@pytest.mark.soak
@pytest.mark.timeout(1800 if SOAK else 300)
async def test_no_run_slips_through_a_stop_by_going_from_link_to_link(
    tmp_path: Path, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    async with stopped_fleet(tmp_path, agents, link_events=LINK_EVENTS) as fleet:
        await fleet.begin(RUNS, ("steps", "looks"))
        await go_on(fleet, RUNS)
        report = await stopped(fleet, fleet.runs)
        assert {one["outcome"] for one in report["runs"]} <= {"stopped", "effect_unknown"}
        assert await fleet.refused("steps-late") == "IncidentStop"
        assert await fleet.results() == {"incident_stop": RUNS}
        assert not fleet.done_twice()
        print(f"{await links(fleet)} links")
