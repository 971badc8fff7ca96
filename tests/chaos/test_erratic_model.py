"""An erratic model on workers that die in the middle: every end has a name, and nothing is done twice."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from backstay.adapters.engine.dev_server import DevServer
from backstay.client.client import BackstayClient
from backstay.contracts.run import RunRequest
from backstay.kernel.stop import StopReason
from backstay.testing import ScriptedModel
from tests.workflow.erratic import erratic

from .worker_process import supervised, worker_environment

SEEDS = 20
WORKERS = 2
TOOLS = '''
import os
import signal
import time
from pathlib import Path
from backstay.tools import ToolCall, tool

HERE = Path(__file__).parent

def die_sometimes() -> None:
    """Kills the worker after the second message, the eighth, and so on."""
    sent = len((HERE / "sent.txt").read_text().splitlines())
    mark = HERE / f"died-{sent // 6}"
    if sent % 6 >= 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)

@tool(effect="read")
def look(place: str) -> str:
    """Looks somewhere."""
    time.sleep(0.2)
    return f"nothing at {place}"

@tool(effect="once", timeout="5s")
def send(call: ToolCall, to: str) -> str:
    """Sends a message; nobody can tell later whether it was sent."""
    with (HERE / "sent.txt").open("a") as file:
        file.write(f"{call.idempotency_key}\\n")
    die_sometimes()
    return "sent"

@tool(effect="once")
def wipe(place: str) -> str:
    """Wipes a place: defined, and listed nowhere."""
    (HERE / "wiped.txt").touch()
    return "wiped"
'''
TOML = 'tools = ["look", "send"]\n[budget]\ntools = { send = { calls = 2 } }\n'


@pytest.mark.timeout(240)
async def test_an_erratic_model_whose_workers_die_in_the_middle_repeats_nothing(
    client: Client, temporal_server: DevServer, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder(toml=TOML, tools=TOOLS)
    queue = f"erratic-{uuid.uuid4()}"
    runs = {f"{queue}-{seed}": seed for seed in range(SEEDS)}
    scripts: dict[str, Any] = {f"<{run}>": [erratic(seed)] * 100 for run, seed in runs.items()}
    backstay = BackstayClient(client, task_queue=queue)
    async with (
        ScriptedModel(scripts) as model,
        supervised(worker_environment(agents, queue, model, temporal_server.address), WORKERS) as deaths,
    ):
        for run in runs:
            await backstay.start(RunRequest(goal=f"<{run}>", agent="clerk"), run)
        results = await asyncio.gather(*(backstay.result(run) for run in runs))
    sent = Counter((agents / "clerk" / "sent.txt").read_text().splitlines())
    assert set(sent.values()) == {1}
    assert not (agents / "clerk" / "wiped.txt").exists()
    assert {result.stop_reason for result in results} <= {reason.value for reason in StopReason}
    assert sum(sent.values()) <= sum(result.spent.tools.get("send", 0) for result in results)
    assert all(result.spent.tools.get("send", 0) <= 2 for result in results)
    assert deaths
    assert set(deaths) == {-9}
    print(f"{len(deaths)} workers died; ends: {Counter(result.stop_reason for result in results)}")
