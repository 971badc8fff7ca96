"""The server goes away while a run is watched: the command says so and exits with 5, without a traceback."""

import asyncio
import contextlib
import json
import os
import pty
import signal
import sys
from pathlib import Path

import pytest

from backstay.adapters.engine.dev_server import dev_server
from tests.integration.command_place import PATIENCE, Running, eventually

pytestmark = pytest.mark.timeout(300)


async def test_a_watch_ends_with_5_and_no_traceback_when_the_server_goes_away(tmp_path: Path) -> None:
    async with dev_server() as server:
        await server.client.start_workflow("AgentRun", {"goal": "x"}, id="watched", task_queue="agents")
        environment = {**os.environ, "TEMPORAL_ADDRESS": server.address, "TERM": "xterm"}
        line = (sys.executable, "-m", "backstay", "watch", "watched")
        lines = await Running.of(tmp_path, *line, "-o", "json", **environment)
        leader, follower = pty.openpty()
        drawn = await asyncio.create_subprocess_exec(*line, env=environment, stdout=-3, stderr=follower)
        os.close(follower)
        os.set_blocking(leader, False)
        seen = bytearray()

        async def shown() -> bool:
            with contextlib.suppress(OSError):  # nothing yet, or its end
                seen.extend(os.read(leader, 65_536))
            return b"run watched" in seen

        await eventually(shown)
        await lines.says("run watched")
        os.kill(server.pid, signal.SIGKILL)
        ended = await lines.end(within=4 * PATIENCE)
        code = await asyncio.wait_for(drawn.wait(), 4 * PATIENCE)
        await shown()
        os.close(leader)
    assert (ended.code, code) == (5, 5)
    assert json.loads(ended.out.splitlines()[-1])["error"]["code"] == "Unreachable"
    assert b"Traceback" not in seen
    assert b"never retrieved" not in seen
    assert b"no Temporal server answers" in seen
