"""`backstay kill` with filters: what it lists, when it asks, and its account of every run."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from backstay.adapters.engine.dev_server import DevServer
from backstay.client.client import BackstayClient
from backstay.client.connection import connect
from backstay.client.fleet import RunFilter, runs
from backstay.contracts.run import RunRequest
from tests.integration.command_place import ROOT, Place, command_place, eventually, fresh

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, slots=True)
class Fleet:
    """Runs of a place, seen by a client in this process."""

    place: Place
    client: BackstayClient

    async def started(self, tenant: str, count: int = 1) -> list[str]:
        """Starts runs of a tenant with a tool that works for a minute; returns their ids once the tools have begun."""
        request = RunRequest(goal="wait", agent="clerk", tenant=tenant)
        ids = [fresh("held") for _ in range(count)]
        await asyncio.gather(*(self.client.start(request, one) for one in ids))

        async def at_work() -> bool:
            shown = await asyncio.gather(*(self.client.describe(one) for one in ids))
            return all(any(call.call_id for call in one.pending) for one in shown) and set(ids) <= set(
                await self.states(tenant)
            )

        await eventually(at_work)
        return ids

    async def states(self, tenant: str) -> dict[str, str]:
        """The states of a tenant's runs, by their ids."""
        wanted, queue = RunFilter(tenant=tenant), self.client.task_queue
        return {one.run_id: one.state async for one in runs(self.client.temporal, wanted, task_queue=queue)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(temporal_server: DevServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Fleet]:
    async with command_place(temporal_server, tmp_path_factory.mktemp("kill")) as place, place.worker():
        temporal = await connect(target_host=temporal_server.address, namespace="default")
        yield Fleet(place, BackstayClient(temporal, place.environment["BACKSTAY_TASK_QUEUE"]))


@dataclass
class Terminal:
    """The command at a terminal: what it says there, and the file that has its data."""

    process: asyncio.subprocess.Process
    number: int
    said: str = ""

    @classmethod
    async def of(cls, place: Place, *arguments: str) -> "Terminal":
        mine, its = os.openpty()
        os.set_blocking(mine, False)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "backstay", *arguments),
            **{"cwd": ROOT, "env": place.environment, "stdin": its, "stdout": asyncio.subprocess.PIPE, "stderr": its},
        )
        os.close(its)
        return cls(process, mine)

    async def says(self, text: str) -> None:
        async def said() -> bool:
            with contextlib.suppress(OSError):  # nothing new, or the command has ended
                self.said += os.read(self.number, 65536).decode()
            return text in self.said

        await eventually(said)

    async def types(self, line: str) -> tuple[int, str]:
        """Types a line; returns the exit code and the data."""
        os.write(self.number, f"{line}\n".encode())
        out, _ = await self.process.communicate()
        code = self.process.returncode
        os.close(self.number)
        assert code is not None
        return code, out.decode()


async def test_all_that_match_are_killed_and_accounted_for_and_no_others(fleet: Fleet) -> None:
    tenant, other = fresh("acme"), fresh("other")
    mine, (theirs,) = await fleet.started(tenant, 3), await fleet.started(other)
    command = ("kill", "--tenant", tenant, "--state", "running", "--yes", "-o", "json")
    kill = await fleet.place.backstay(*command)
    assert kill.code == 0, kill.err
    given = kill.json()
    assert given["counts"] == {"killed": 3, "already_closed": 0, "could_not": 0}
    assert {one["run_id"] for one in given["runs"]} == set(mine)
    assert all(one["outcome"] == "killed" and "work (1-0): unknown" in one["detail"] for one in given["runs"])
    assert all(one in kill.err for one in mine)  # the list comes first
    result = await fleet.client.result(mine[0])
    why = f"by olga@example.com: all runs that match --state running --tenant {tenant}"
    assert (result.stop_reason, result.stop_detail) == ("killed", why)
    assert await fleet.states(other) == {theirs: "running"}
    again = await fleet.place.backstay(*command)
    assert (again.code, again.json()["runs"]) == (0, [])
    assert "no open run matches" in again.err


async def test_nothing_is_killed_until_a_person_says_yes_and_who_came_meanwhile_is_killed_too(fleet: Fleet) -> None:
    tenant = fresh("acme")
    (first,) = await fleet.started(tenant)
    asked = await Terminal.of(fleet.place, "kill", "-t", tenant, "-r", "enough")
    await asked.says("kill 1 run, and those that come to match meanwhile? [y/N]")
    assert first in asked.said
    assert await asked.types("") == (0, "")
    assert await fleet.states(tenant) == {first: "running"}
    asked = await Terminal.of(fleet.place, "kill", "-t", tenant, "-r", "enough")
    await asked.says("[y/N]")
    (late,) = await fleet.started(tenant)
    code, out = await asked.types("y")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [[first, "killed"], [late, "killed"]]
    assert await fleet.states(tenant) == {first: "stopped", late: "stopped"}
