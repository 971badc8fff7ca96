"""Runs come to their ends where slots follow memory and CPU, even on a machine that has neither."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from temporalio.client import Client

from backstay.settings import Targets
from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime

RUNS = 12
TOOLS = '''
import asyncio
from pathlib import Path
from backstay.tools import tool

LOG = Path(__file__).with_name("log")

@tool(effect="write", dedupe="tenant")
async def pay(amount: int) -> str:
    """Pays; all runs share the effect."""
    await asyncio.sleep(0.5)
    with LOG.open("a") as log:
        log.write(f"{amount}\\n")
    return "paid"

@tool(effect="read")
async def look() -> str:
    """Looks."""
    return "seen"
'''


@pytest.mark.timeout(180)
@pytest.mark.parametrize("targets", [Targets(), Targets(memory=0.001, cpu=0.001)])
async def test_runs_and_the_effect_that_they_share_come_to_their_ends(
    client: Client, agent_folder: Callable[..., Path], targets: Targets
) -> None:
    """More calls wait for the effect than a worker without room takes."""
    agents = agent_folder("clerk", "", TOOLS)
    script = [Reply(calls=[Call("look"), Call("pay", {"amount": 5})]), Reply("done")]
    async with local_runtime(script, agents=agents, client=client, slots=targets) as runtime:
        given = {"agent": "clerk", "tenant": uuid.uuid4().hex}
        asked = [runtime.run_to_end({"goal": f"pay {number}", **given}) for number in range(RUNS)]
        ends = await asyncio.gather(*asked)
    assert [end.stop_reason for end in ends] == ["completed"] * RUNS
    assert (agents / "clerk" / "log").read_text().splitlines() == ["5"]
