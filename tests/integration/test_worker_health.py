"""Workers as processes, asked over HTTP: ready while they work, not while the server is away, not while they drain."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from backstay.adapters.engine.dev_server import DevServer, dev_server, free_port
from backstay.contracts.names import CONTROL_ID
from tests.integration.command_place import command_place, eventually, fresh, temporal

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).resolve().parents[2]
TOO_OLD = "its copy of the control plane is too old, so that effects and new decisions wait"
LOST = "the control plane was lost, and nobody has confirmed what is in force"


class Asked:
    """The port of a worker's health."""

    def __init__(self) -> None:
        self.port = free_port()

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Asks once; status 0 where nobody answers."""
        try:
            url = f"http://127.0.0.1:{self.port}{path}"
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return answer.status, await answer.json()
        except aiohttp.ClientError:
            return 0, {}

    async def until(self, holds: Callable[[int, dict[str, Any]], bool]) -> None:
        """Waits until the readiness is as wanted."""

        async def holds_now() -> bool:
            return holds(*await self.get("/readyz"))

        await eventually(holds_now)

    async def compose_says(self) -> int:
        """The exit code of the health check in docker-compose.yml, run against this port."""
        worker = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["worker"]
        port = worker["environment"]["BACKSTAY_HEALTH"]
        how, program, *words = worker["healthcheck"]["test"]
        assert (how, program) == ("CMD", "python")
        given = [word.replace(port, str(self.port)) for word in words]
        return await (await asyncio.create_subprocess_exec(sys.executable, *given)).wait()


def is_ready(status: int, _: dict[str, Any]) -> bool:
    return status == 200


async def test_a_worker_that_drains_says_how_many_calls_it_waits_for(
    temporal_server: DevServer, tmp_path: Path
) -> None:
    asked, queue, run_id = Asked(), fresh("drains"), fresh("drains")
    given = {"BACKSTAY_TASK_QUEUE": queue, "BACKSTAY_HEALTH": str(asked.port), "BACKSTAY_SHUTDOWN_SECONDS": "5"}
    async with command_place(temporal_server, tmp_path) as place:
        assert await asked.compose_says() != 0
        async with place.worker(**given) as worker:
            await asked.until(is_ready)
            assert await asked.get("/livez") == (200, {"live": True})
            assert await asked.compose_says() == 0
            await place.backstay("run", "wait", "-a", "clerk", "--id", run_id, "--no-wait", **given)
            await place.logged("waiting begins")
            worker.process.terminate()
            await asked.until(lambda status, _: status == 503)
            status, found = await asked.get("/readyz")
            assert (status, found["ready"], found["calls_running"]) == (503, False, 1)
            assert found["reasons"] == ["it was told to stop: 1 call is still running"]
            assert (await asked.get("/livez"))[0] == 200
            assert await asked.compose_says() != 0
            ended = await worker.end()
        assert ended.code == 0
        assert ended.err.count("stopping: 1 call is still running") >= 2
        assert await asked.get("/livez") == (0, {})
        await temporal(place, "workflow", "terminate", "--workflow-id", run_id)


async def test_a_worker_is_live_but_not_ready_while_the_server_or_what_is_in_force_is_away(tmp_path: Path) -> None:
    asked, port, database = Asked(), free_port(), tmp_path / "temporal.db"
    async with contextlib.AsyncExitStack() as until_the_end:
        async with dev_server(port=port, database=database) as server:
            place = await until_the_end.enter_async_context(command_place(server, tmp_path))
            worker = await place.start("-m", "backstay", "worker", BACKSTAY_HEALTH=f"127.0.0.1:{asked.port}")
            await asked.until(is_ready)
            os.kill(server.pid, signal.SIGKILL)
            await asked.until(lambda status, _: status == 503)
            assert (await asked.get("/readyz"))[1]["reasons"] == [TOO_OLD]
            assert (await asked.get("/livez"))[0] == 200
        async with dev_server(port=port, database=database) as server:
            await asked.until(is_ready)
            await server.client.get_workflow_handle(CONTROL_ID).terminate()
            await asked.until(lambda _, found: any(why.startswith(LOST) for why in found.get("reasons", [])))
            assert (await asked.get("/readyz"))[0] == 503
            assert "`backstay control confirm --reason WHY`" in str((await asked.get("/readyz"))[1]["reasons"])
            assert (await place.backstay("control", "confirm", "--reason", "tried")).code == 0
            await asked.until(is_ready)
            worker.process.terminate()
            assert (await worker.end()).code == 0


async def test_a_port_that_is_taken_ends_a_worker_with_2(temporal_server: DevServer, tmp_path: Path) -> None:
    async with command_place(temporal_server, tmp_path) as place:
        async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as other:
            refused = await place.backstay("worker", BACKSTAY_HEALTH=str(other.sockets[0].getsockname()[1]))
        malformed = await place.backstay("worker", BACKSTAY_HEALTH="eighty")
    assert (refused.code, malformed.code) == (2, 2)
    assert "cannot listen on 127.0.0.1:" in refused.err
    assert "`BACKSTAY_HEALTH`" in malformed.err
