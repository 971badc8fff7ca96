"""`backstay policy check --observed`: rules that are only watched, and what enforcing them would have changed."""

import asyncio
import json
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from temporalio.client import Client

from backstay.adapters.engine.dev_server import DevServer
from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime

ROOT = Path(__file__).resolve().parents[2]
TOOLS = '''
from backstay.tools import tool

@tool(effect="write")
def pay(to: str, amount: int) -> str:
    """Pays."""
    return f"paid {amount}"
'''
TOML = '[approval]\ngroups = { finance = ["alice"] }\n[policy]\nmode = "observe"\n'
RULES = """
@id("pay-above-100")
@approval("finance")
forbid(principal, action == Action::"pay", resource) when { context.input.amount > 100 };

@id("pay-nobody-else")
forbid(principal, action == Action::"pay", resource) when { context.input.to != "ann" };
"""
CALLS = [Call("pay", {"to": to, "amount": amount}) for to, amount in (("ann", 5), ("ann", 500), ("bob", 6))]


async def check(arguments: list[str], environment: dict[str, str]) -> tuple[int, str, str]:
    command = (sys.executable, "-m", "backstay", "policy", "check", "--observed", *arguments)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=-1, stderr=-1)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


async def test_what_enforcing_would_have_changed_is_read_from_closed_runs_without_a_worker(
    client: Client, temporal_server: DevServer, agent_folder: Callable[..., Path]
) -> None:
    name = f"clerk-{uuid.uuid4().hex[:8]}"
    agents = agent_folder(name, toml=TOML, tools=TOOLS)
    (agents / name / "policy.cedar").write_text(RULES)
    script: Any = {"pay": [Reply(calls=CALLS), Reply("done")], "rest": [Reply("rested")]}
    async with local_runtime(script, agents=agents, client=client) as runtime:
        result = await runtime.run_to_end({"goal": "pay", "agent": name})
        await runtime.run_to_end({"goal": "rest", "agent": name})
    assert (result.status, result.spent.tools) == ("completed", {"pay": 3})
    environment = {
        "PATH": "",
        "PYTHONPATH": str(ROOT),
        "TEMPORAL_ADDRESS": temporal_server.address,
        "BACKSTAY_TASK_QUEUE": runtime.settings.task_queue,
    }

    async def listed() -> Any:
        code, out, err = await check([name, "-o", "json"], environment)
        assert code == 0, err
        return json.loads(out)

    async with asyncio.timeout(60):
        while (found := await listed())["runs"] < 2:  # the engine's index follows a little later
            await asyncio.sleep(0.2)
    assert {key: found[key] for key in ("runs", "observing", "calls")} == {"runs": 2, "observing": 1, "calls": 3}
    first, second = found["changed"]
    assert (first["decided"], first["would_be"], first["rules"]) == ("allow", "require_approval", ["pay-above-100"])
    assert json.loads(first["arguments"]) == {"to": "ann", "amount": 500}
    assert (second["decided"], second["would_be"], second["rules"]) == ("allow", "deny", ["pay-nobody-else"])
    code, out, err = await check([name], environment)
    assert code == 0
    assert "pay-above-100" in out
    assert "2 of 3 calls in 1 runs would have been decided differently" in err
    code, out, err = await check([f"{name}-unknown"], environment)
    assert (code, out) == (0, "")
    assert "nothing was only observed in 0 runs" in err
