"""Measures what the largest reply does to other runs: `python -m benchmarks.review`.

One run gets a reply of 500 calls that fill a body of 1 MB, beside a goal of 32,000 letters, and a rule that reads which
arguments the goal names. Other runs of the same worker take one step each, before and meanwhile.
"""

import asyncio
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client, WorkflowHandle

from backstay.adapters.engine.dev_server import dev_server
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

CALLS = 500
BODY_BYTES = 1_000_000
TOML = '[stop]\ndenials = 1000\n[budget]\nusd = "50"\ntokens = 100_000_000\ntool_calls = 1000\n'
TOOLS = '''
from backstay.tools import tool

@tool(effect="read")
def label(labels: list[str]) -> str:
    """Labels something."""
    return "labelled"
'''
RULES = """
@id("named") forbid(principal, action == Action::"label", resource)
unless { context.facts.named_by_user.contains("labels") };
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """The seconds of the large review, and of runs of one step, before it and beside it."""

    review: float
    alone: Sequence[float]
    beside: Sequence[float]

    def lines(self) -> list[str]:
        """Returns the figures for people."""
        return [
            f"review of {CALLS} calls in 1 MB: {self.review:.1f} s",
            f"other runs of one step, quiet:  median {statistics.median(self.alone):.2f} s",
            f"other runs of one step, beside: median {statistics.median(self.beside):.2f} s, "
            f"longest {max(self.beside):.2f} s, {len(self.beside)} of them",
        ]


async def measure(client: Client, folder: Path) -> Figures:
    """Measures on a worker of its own in this process."""
    desk = folder / "desk"
    desk.mkdir()
    (desk / "agent.toml").write_text(f'instructions = "Label."\n{TOML}')
    (desk / "tools.py").write_text(TOOLS)
    (desk / "policy.cedar").write_text(RULES)
    each = BODY_BYTES // CALLS // 8  # a label and what is between two of them
    calls = [Call("label", {"labels": [f"{n % 10}{k % 1000:03}" for k in range(each)]}) for n in range(CALLS)]
    goal = " ".join(uuid.uuid4().hex[:7] for _ in range(4_000))
    script = {goal: [Reply(calls=calls), Reply("done")], "a b": [Reply(calls=[Call("label", {"labels": ["a"]})])]}
    script["a b"].append(Reply("done"))
    async with local_runtime(script, agents=folder, client=client) as runtime:
        alone = [await _step(runtime) for _ in range(10)]
        large = await runtime.start({"goal": goal, "agent": "desk"})
        reviewed = asyncio.create_task(_reviewed(large))
        beside: list[float] = []
        while not reviewed.done():
            beside.append(await _step(runtime))
        return Figures(await reviewed, alone, beside)


async def _step(runtime: LocalRuntime) -> float:
    began = time.monotonic()
    await runtime.run_to_end({"goal": "a b", "agent": "desk"})
    return time.monotonic() - began


async def _reviewed(handle: WorkflowHandle[object, object]) -> float:
    """Waits for the run's end, and returns how long the review of its first decision took."""
    await handle.result()
    decided = None
    async for event in handle.fetch_history_events():
        if event.HasField("activity_task_completed_event_attributes"):
            decided = event.event_time.ToDatetime()
        if decided and event.HasField("marker_recorded_event_attributes"):
            return (event.event_time.ToDatetime() - decided).total_seconds()
    raise RuntimeError("the run reviewed nothing")


async def main() -> None:
    """Prints the figures."""
    with tempfile.TemporaryDirectory() as folder:
        async with dev_server() as server:
            print("\n".join((await measure(server.client, Path(folder))).lines()))


if __name__ == "__main__":
    asyncio.run(main())
