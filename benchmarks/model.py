"""Serves the model of all contenders in a process of its own: it plays the load that each request's goal names.

It prints its address, and then answers every line on its standard input with what it has used so far.
"""

import asyncio
import sys
from typing import TypeVar

from backstay.testing.model.script import Call, Reply, Request
from backstay.testing.model.server import ScriptedModel

from . import load
from .usage import answer

T = TypeVar("T")


class Counted(list[T]):
    """A list that only counts: requests of long runs would fill the memory."""

    appended = 0

    def append(self, object: T, /) -> None:
        """Counts an item, and forgets it."""
        self.appended += 1


def play(request: Request) -> Reply:
    """Returns the next call of the run, or its answer."""
    wanted = load.load_of(request.goal)
    if request.index >= wanted.steps:
        return Reply(load.ANSWER, delay=wanted.delay)
    return Reply(calls=[Call(load.TOOL, load.arguments(wanted, request.index))], delay=wanted.delay)


async def serve() -> None:
    """Serves until the standard input ends."""
    model = ScriptedModel(default=play)
    requests, model.served = Counted[Request](), Counted()
    model.requests = requests
    async with model:
        print(model.base_url, flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(answer(requests.appended), flush=True)


if __name__ == "__main__":
    asyncio.run(serve())
