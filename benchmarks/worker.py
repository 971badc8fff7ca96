"""Runs one contender's worker in a process of its own, so that its processor time can be measured.

It prints `ready`, then answers every line on its standard input with its usage so far, and stops when the input ends.
"""

import asyncio
import json
import resource
import sys
from contextlib import AbstractAsyncContextManager
from typing import Any

import uvloop
from temporalio.client import Client
from temporalio.worker import Worker

from backstay.app.application import application
from backstay.app.worker import serving as serving_runs
from backstay.client.connection import connect
from backstay.settings import Settings

from .floor import Floor
from .floor_activities import FloorActivities
from .load import AGENTS, PRICE


def serving(contender: str, client: Client, base_url: str) -> AbstractAsyncContextManager[Any]:
    """Returns the contender's worker, on a task queue with the contender's name."""
    if contender == "floor":
        activities = FloorActivities(base_url).all()
        return Worker(client, task_queue=contender, workflows=[Floor], activities=activities)
    settings = Settings(agents=[AGENTS], task_queue=contender, openai_base_url=base_url, model_price=PRICE)
    return serving_runs(application(settings), client)


def used() -> dict[str, float]:
    """Returns this process's processor seconds and its peak memory in MB."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu_s": usage.ru_utime + usage.ru_stime, "rss_mb": usage.ru_maxrss / 1024}


async def serve(contender: str, address: str, base_url: str) -> None:
    """Serves until the standard input ends."""
    client = await connect(target_host=address, namespace="default")
    async with serving(contender, client, base_url):
        print("ready", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(used()), flush=True)


if __name__ == "__main__":
    run = uvloop.run if sys.argv[1] == "backstay" else asyncio.run
    run(serve(*sys.argv[1:]))
