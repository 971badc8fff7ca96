"""A tool that blocks its event loop is named in the log, and no other call is taken for lost because of it."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from backstay.checks.health import checks
from backstay.settings import Settings
from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime

BLOCKS_SECONDS = 12  # longer than an activity may be silent
TOOLS = f'''
import asyncio, time
from pathlib import Path
from backstay.tools import tool

@tool(effect="read")
async def fetch() -> str:
    """Blocks its loop."""
    time.sleep({BLOCKS_SECONDS})
    return "fetched"

@tool(effect="once", timeout="8s")
async def charge(whom: str) -> str:
    """Charges, which takes a while."""
    await asyncio.sleep(2)
    with (Path(__file__).parents[2] / "charged.log").open("a") as log:
        log.write(whom + "\\n")
    return "charged"
'''
SCRIPTS: dict[str, Any] = {
    "block": [Reply(calls=[Call("fetch", {})]), Reply("done")],
    "the same": [Reply(calls=[Call("charge", {"whom": "same"})]), Reply("done")],
    "another": [Reply(calls=[Call("charge", {"whom": "another"})]), Reply("done")],
}


async def test_a_blocking_tool_is_named_and_its_neighbours_end_well(
    client: Client, agent_folder: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    agent_folder("careless", tools=TOOLS)
    agents = agent_folder("careful", tools=TOOLS)
    with caplog.at_level(logging.WARNING, "backstay.tools"):
        async with local_runtime(SCRIPTS, agents=agents, client=client) as runtime:
            same, another = await asyncio.gather(
                runtime.start({"goal": "the same", "agent": "careless"}),
                runtime.start({"goal": "another", "agent": "careful"}),
            )
            await asyncio.sleep(0.5)
            blocked = await runtime.start({"goal": "block", "agent": "careless"})
            results = await asyncio.wait_for(asyncio.gather(*(one.result() for one in (same, another, blocked))), 60)
    assert [(one["status"], one["in_flight"]) for one in results] == [("completed", [])] * 3
    assert sorted((tmp_path / "charged.log").read_text().split()) == ["another", "same"]
    said = [record.getMessage() for record in caplog.records if "`careless` has stood still" in record.getMessage()]
    assert len(said) == 1
    assert f"the tool `fetch` of the agent `careless` (call 1-0 of the run {blocked.id}) blocks it at" in said[0]
    assert "careless/tools.py:9 (`fetch`)" in said[0]


async def test_doctor_names_it_from_its_source(
    client: Client, agent_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = agent_folder("careless", tools=TOOLS)
    monkeypatch.setenv("TEMPORAL_ADDRESS", client.service_client.config.target_host)
    settings = Settings(agents=[agents], openai_api_key="none", openai_base_url="http://127.0.0.1:9/v1")
    [found] = [check async for check in checks(settings) if check.name == "tools"]
    assert not found.ok
    assert "careless/tools.py:9: the async tool `fetch` of `careless` blocks in `time.sleep`" in found.detail
    assert "`def`" in found.mend
