"""Nothing a run says keeps a worker from its other runs: reviews take place off the loop, within a time limit."""

import asyncio
import itertools
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from temporalio.client import Client

from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime

TOOLS = '''
import time
from backstay.tools import tool

def slow(labels: list[str]) -> bool:
    """A fact that works for long."""
    end = time.monotonic() + 8
    while time.monotonic() < end:
        pass
    return True

@tool(effect="read")
def label(labels: list[str]) -> str:
    """Labels something."""
    return "labelled"

@tool(effect="read", facts={"odd": ("Bool", slow)})
def weigh(labels: list[str]) -> str:
    """Weighs labels."""
    return "weighed"
'''
RULES = """
@id("named") forbid(principal, action == Action::"label", resource)
unless { context.facts.named_by_user.contains("labels") };
@id("odd") forbid(principal, action == Action::"weigh", resource) when { context.facts.odd };
"""
BODY_BYTES = 1_000_000
LONGEST_STANDSTILL = 4.0


async def standstills(during: asyncio.Task[object]) -> float:
    """Returns the longest time that this process's loop, which the worker shares, stood still."""
    beats = [time.monotonic()]
    while not during.done():
        await asyncio.sleep(0.01)
        beats.append(time.monotonic())
    return max(after - before for before, after in itertools.pairwise(beats))


async def test_five_hundred_long_calls_beside_a_long_goal_do_not_stop_the_loop(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder("desk", "[stop]\ndenials = 1000\n[budget]\nusd = '50'\ntokens = 100_000_000\n", TOOLS)
    (agents / "desk" / "policy.cedar").write_text(RULES)
    each = BODY_BYTES // 500 // 8  # a label and what is between two of them
    calls = [Call("label", {"labels": [f"{n % 10}{k % 1000:03}" for k in range(each)]}) for n in range(500)]
    assert len(json.dumps([call.args for call in calls])) > 0.9 * BODY_BYTES
    goal = " ".join(uuid.uuid4().hex[:7] for _ in range(4_000))
    async with local_runtime([Reply(calls=calls), Reply("done")], agents=agents, client=client) as runtime:
        run = asyncio.create_task(runtime.run_to_end({"goal": goal, "agent": "desk"}))
        assert await standstills(run) < LONGEST_STANDSTILL
        assert (await run).stop_reason in ("completed", "budget_exhausted", "policy_denied")


async def test_a_fact_that_works_for_long_is_a_refusal(client: Client, agent_folder: Callable[..., Path]) -> None:
    agents = agent_folder("desk", "", TOOLS)
    (agents / "desk" / "policy.cedar").write_text(RULES)
    script = [Reply(calls=[Call("weigh", {"labels": []})]), Reply("done")]
    async with local_runtime(script, agents=agents, client=client) as runtime:
        run = asyncio.create_task(runtime.run_to_end({"goal": "go", "agent": "desk"}))
        assert await standstills(run) < LONGEST_STANDSTILL
        assert (await run).stop_reason == "completed"
        told = json.dumps(runtime.model.requests[-1].body)
        assert "the review took longer than 3 seconds" in told
