"""Stops while what carries them out dies: the command, the sweep's worker, the server. The stop holds all the same."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from .stopped_fleet import TOML, TOOLS, WHO, monotonic, stopped_fleet
from .worker_process import SOAK

RUNS = 500 if SOAK else 18
FROZEN = 100 if SOAK else 12
LATEST = 5.0
"""The seconds after a stop is in force in which an effect may still begin."""


@pytest.mark.soak
@pytest.mark.timeout(1800 if SOAK else 300)
async def test_a_stop_holds_and_accounts_for_every_run_though_the_command_and_the_sweeps_worker_are_killed(
    tmp_path: Path, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    async with stopped_fleet(tmp_path, agents) as fleet:
        await fleet.begin(RUNS)
        incident = await fleet.stop_and_die("--scope", "all")
        in_force = monotonic(incident.told.at_ms)
        await fleet.kill_the_sweeper(incident.id)
        refused = asyncio.gather(*(fleet.refused(f"steps-late-{number}") for number in range(3)))
        report = await fleet.told("stop", "--scope", "all", "--by", "olga@example.com", "--reason", "once more")
        whole = time.monotonic()
        assert report["incident_id"] == incident.id
        told = {one["run_id"]: one["outcome"] for one in report["runs"]}
        late = {f"steps-late-{number}" for number in range(3)}  # one that the sweep saw before it was refused
        assert sorted(told.keys() - late) == sorted(run.id for run in fleet.runs)
        assert {told[run.id] for run in fleet.runs} <= {"stopped", "effect_unknown"}
        # A sweep may tell a run that it has just seen begin before its admission is refused.
        assert set(await refused) <= {"IncidentStop", "incident_stop"}
        assert await fleet.refused("steps-later") == "IncidentStop"
        assert await fleet.results() == {"incident_stop": RUNS}
        last = fleet.last_effect()
        assert last < in_force + LATEST
        assert not fleet.done_twice()
        print(f"{RUNS} runs: last effect after {last - in_force:.2f} s, whole after {whole - in_force:.1f} s")


@pytest.mark.soak
@pytest.mark.timeout(1800 if SOAK else 300)
async def test_frozen_runs_survive_the_servers_death_and_finish_in_stages_with_nothing_twice(
    tmp_path: Path, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    async with stopped_fleet(tmp_path, agents, frail=True) as fleet:
        await fleet.begin(FROZEN)
        incident = await fleet.stop_and_die("--scope", "agent:clerk", "--freeze")
        fleet.server.kill()
        await fleet.server.restart(0.5)
        in_force = monotonic(incident.told.at_ms)
        report = await fleet.told("report", incident.id, "--wait")
        assert fleet.last_effect() < in_force + LATEST
        assert report["counts"] == {"frozen": FROZEN}
        assert sorted(one["run_id"] for one in report["runs"]) == sorted(run.id for run in fleet.runs)
        fleet.open("go")
        fleet.enough = True
        before = fleet.marks()
        for stage in ("reads", "models"):
            await fleet.told("lift", incident.id, "--stage", stage, *WHO)
        assert await fleet.refused("steps-late") == "IncidentStop"
        assert [mark.tool for mark in fleet.marks()[len(before) :] if mark.tool != "look"] == []
        await fleet.told("lift", incident.id, *WHO)
        await fleet.until(fleet.all_let_go)
        for waiting in await fleet.waiting():
            await fleet.approve(waiting)
        assert await fleet.results() == {"completed": FROZEN}
        paid = Counter(mark.tool for mark in fleet.marks() if not mark.run.startswith("steps"))
        kinds = Counter(run.id.partition("-")[0] for run in fleet.runs)
        assert paid == {"transfer": kinds["approval"], "pay": kinds["model"] + kinds["call"]}
        assert not fleet.done_twice()


async def test_a_stop_of_a_tool_holds_its_calls_and_all_others_go_on(
    tmp_path: Path, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    async with stopped_fleet(tmp_path, agents, workers=1) as fleet:
        await fleet.begin(6, ("steps", "looks", "approval"))
        incident = await fleet.stop_and_die("--scope", "tool:pay")
        in_force = monotonic(incident.told.at_ms)
        await fleet.until(lambda: fleet.all_wait("steps", "tool:pay is stopped by olga@example.com: it pays twice"))
        fleet.enough = True
        for waiting in await fleet.waiting():
            await fleet.approve(waiting)
        assert await fleet.results("looks", "approval") == {"completed": 4}
        assert (await fleet.told("status", incident.id))["incidents"][0]["ended_at"] is None
        assert max(mark.at for mark in fleet.marks() if mark.tool == "pay") < in_force + LATEST
        assert max(mark.at for mark in fleet.marks() if mark.tool == "look") > in_force
        await fleet.told("lift", incident.id, *WHO)
        assert await fleet.results() == {"completed": 6}
        assert not fleet.done_twice()
