"""`backstay breakers`: what people and programs read of what stops a part of the fleet by itself."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backstay.adapters.engine import breakers as telling
from backstay.adapters.engine.dev_server import dev_server
from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime

TOOLS = """
from backstay.tools import ToolError, tool

@tool(effect="read")
def look() -> str:
    '''Looks at the shop.'''
    raise ToolError("the shop is closed")
"""
ORG = '[[breakers]]\nname = "shaky"\nscope = "tool"\non = "tool_failures"\ncount = 2\nmin_runs = 2\nthen = "stop"\n'


@pytest.mark.timeout(120)
async def test_rules_windows_and_trips_are_shown(
    agent_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "EVERY_SECONDS", 0.2)
    agents = agent_folder("clerk", "[stop]\nfailures = 1\n", TOOLS)
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "org.toml").write_text(ORG)
    script = [Reply(calls=[Call("look")]), Reply("done")]
    async with (
        dev_server() as server,
        local_runtime(script, agents=agents, client=server.client, policies=[tmp_path / "org"]) as runtime,
    ):
        address = runtime.client.service_client.config.target_host
        environment = {**os.environ, "TEMPORAL_ADDRESS": address, "COLUMNS": "240"}

        async def command(*words: str) -> tuple[str, str]:
            given = (sys.executable, "-m", "backstay", "breakers", *words)
            process = await asyncio.create_subprocess_exec(*given, stdout=PIPE, stderr=PIPE, env=environment)
            out, err = await process.communicate()
            assert process.returncode == 0, err.decode()
            return out.decode(), err.decode()

        assert json.loads((await command("-o", "json"))[0]) == {"breakers": [], "trips": []}
        assert "no worker has told breakers of anything yet" in (await command())[1]
        for _ in range(2):
            assert (await runtime.run_to_end({"goal": "work", "agent": "clerk"})).stop_reason == "tool_failures"
        async with asyncio.timeout(30):
            while not (found := json.loads((await command("-o", "json"))[0]))["trips"]:
                await asyncio.sleep(0.2)
        [trip] = found["trips"]
        assert (trip["breaker"], trip["scope"], trip["then"]) == ("shaky", "tool:look", "stop")
        [rule] = [one for one in found["breakers"] if one["name"] == "shaky"]
        assert rule["rule"] == "2 with tool_failures in 60 s"
        [window] = rule["windows"]
        assert seen(window) == ("tool:look", "open", trip["incident_id"], trip["at"])
        table, _ = await command()
        assert all(
            words in table for words in ("shaky", "tool:look", "open", "2 failed within 60 s", trip["incident_id"])
        )


def seen(window: dict[str, Any]) -> tuple[Any, ...]:
    return window["scope"], window["state"], window["incident_id"], window["tripped_at"]
