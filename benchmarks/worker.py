"""Runs one contender's worker in a process of its own, so that its processor time can be measured.

It prints `ready`, then answers every line on its standard input with its usage so far, and stops when the input ends.
The loop without an engine runs a load for every line that holds one, and answers with how many runs ended well. Each
contender's own modules are imported here alone: the peers live in another environment than the project.
"""

import asyncio
import json
import os
import sys
import time
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer, Worker

from . import card, load
from .usage import answer

PEERS = {"openai-agents": "peer_openai_agents", "pydantic-ai": "peer_pydantic_ai"}
OWN = {"floor": ("floor", "Floor", "FloorActivities"), "naive": ("naive", "Naive", "NaiveActivities")}


async def worker(contender: str, address: str, base_url: str) -> AbstractAsyncContextManager[Any]:
    """Returns the contender's worker, on a task queue with the contender's name."""
    if contender == "backstay":
        return await _backstay(address, base_url)
    if contender in PEERS:
        peer = import_module(f"benchmarks.{PEERS[contender]}")
        client = await Client.connect(address, plugins=[peer.plugin(base_url)])
        return Worker(client, task_queue=contender, workflows=peer.WORKFLOWS, activities=peer.ACTIVITIES)
    module, workflow, activities = OWN[contender]
    kind = getattr(import_module(f"benchmarks.{module}"), workflow)
    served = getattr(import_module(f"benchmarks.{module}_activities"), activities)(base_url).all()
    return Worker(await Client.connect(address), task_queue=contender, workflows=[kind], activities=served)


async def _backstay(address: str, base_url: str) -> AbstractAsyncContextManager[Any]:
    from backstay.app.application import application
    from backstay.app.worker import serving
    from backstay.client.connection import connect
    from backstay.settings import Settings

    settings = Settings(agents=[load.AGENTS], task_queue="backstay", openai_base_url=base_url, model_price=load.PRICE)
    return serving(application(settings), await connect(target_host=address, namespace="default"))


def replayer(contender: str) -> Replayer:
    """Returns what replays a history as the contender's worker would."""
    if contender == "backstay":
        from backstay.adapters.payload.converter import data_converter
        from backstay.app.folders import agent_run
        from backstay.app.workflows import sandbox

        kinds = [agent_run.AgentRun]
        return Replayer(workflows=kinds, workflow_runner=sandbox(checked=False), data_converter=data_converter())
    if contender in PEERS:
        peer = import_module(f"benchmarks.{PEERS[contender]}")
        return Replayer(workflows=peer.WORKFLOWS, plugins=[peer.plugin("http://127.0.0.1:9/v1")])
    module, workflow, _ = OWN[contender]
    return Replayer(workflows=[getattr(import_module(f"benchmarks.{module}"), workflow)])


async def replay(contender: str, history: WorkflowHistory) -> None:
    """Prints the seconds that a replay takes, the second of two: the first one imports."""
    await replayer(contender).replay_workflow(history)
    began = time.monotonic()
    await replayer(contender).replay_workflow(history)
    print(time.monotonic() - began, flush=True)


async def serve(contender: str, address: str, base_url: str) -> None:
    """Serves until the standard input ends."""
    if contender == "plain":
        return await _plain(base_url)
    async with await worker(contender, address, base_url):
        print("ready", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(answer(card.calls()), flush=True)


async def _plain(base_url: str) -> None:
    from . import plain
    from .naive_activities import NaiveActivities

    activities, tasks = NaiveActivities(base_url), set[asyncio.Task[None]]()

    async def carry(goal: str, runs: int) -> None:
        ended = await asyncio.gather(*(plain.run(activities, goal) for _ in range(runs)))
        print(json.dumps(ended.count(load.ANSWER)), flush=True)

    print("ready", flush=True)
    while line := (await asyncio.to_thread(sys.stdin.readline)):
        if line.strip():
            tasks.add(asyncio.create_task(carry(**json.loads(line))))
        else:
            print(answer(card.calls()), flush=True)


def main(arguments: list[str]) -> None:
    """Replays a file, or serves."""
    if arguments[0] == "replay":
        return asyncio.run(replay(arguments[1], WorkflowHistory.from_json("run", Path(arguments[2]).read_text())))
    os.environ["BENCHMARK_MODEL"] = arguments[2]
    if arguments[0] == "backstay":
        import uvloop

        return uvloop.run(serve(*arguments))
    asyncio.run(serve(*arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
