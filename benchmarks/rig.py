"""Carries loads with a server, a model and the workers of all contenders, and checks that each step was really done."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client, WorkflowHandle

from backstay.adapters.engine.dev_server import DevServer, dev_server

from . import load, processes
from .contenders import Contender
from .load import Load
from .processes import Helper, Model
from .usage import Used, cpu_of

PATIENCE_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Burst:
    """Some runs that were carried at once.

    Attributes:
        seconds: from the first start to the last result.
        worker_cpu: the processor seconds of all workers meanwhile; `server_cpu` those of the server.
        worker: the use of the first worker afterwards.
    """

    seconds: float
    worker_cpu: float
    server_cpu: float
    worker: Used
    handles: Sequence[WorkflowHandle[Any, Any]]


@dataclass(frozen=True, slots=True)
class Rig:
    """A server, a model, and the workers of each contender by its name."""

    server: DevServer
    model: Model
    workers: dict[str, list[Helper]]

    async def carry(self, contender: Contender, runs: int, wanted: Load) -> Burst:
        """Starts runs at once and waits for all.

        Raises:
            RuntimeError: a run ended early, or left out a step.
        """
        workers = self.workers[contender.name]
        before, asked = await _used(workers), await self.model.helper.used()
        began, server = time.monotonic(), cpu_of(self.server.pid)
        if contender.workflow is None:
            handles = []
            await _without_engine(workers, runs, wanted)
        else:
            handles = await self.started(contender, runs, wanted)
            await _ended(contender, handles)
        seconds, server = time.monotonic() - began, cpu_of(self.server.pid) - server
        after, answered = await _used(workers), await self.model.helper.used()
        calls = sum(one.calls for one in after) - sum(one.calls for one in before)
        _check(contender, "calls of the tool", calls, runs * wanted.steps)
        _check(contender, "requests to the model", answered.calls - asked.calls, runs * (wanted.steps + 1))
        cpu = sum(one.cpu_s for one in after) - sum(one.cpu_s for one in before)
        return Burst(seconds, cpu, server, after[0], handles)

    async def started(self, contender: Contender, runs: int, wanted: Load) -> list[WorkflowHandle[Any, Any]]:
        """Starts runs of a contender that has an engine, and waits for none."""
        return await asyncio.gather(*(_start(self.server.client, contender, wanted) for _ in range(runs)))


@contextlib.asynccontextmanager
async def rig(contenders: Sequence[Contender], workers: int = 1) -> AsyncGenerator[Rig]:
    """Starts all processes of a measurement, and stops them when the context ends."""
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(dev_server())
        model = await stack.enter_async_context(processes.scripted_model())
        wanted = [one for one in contenders for _ in range(workers)]
        started = await asyncio.gather(
            *(stack.enter_async_context(processes.worker(one, server.address, model.base_url)) for one in wanted)
        )
        found: dict[str, list[Helper]] = {one.name: [] for one in contenders}
        for one, helper in zip(wanted, started, strict=True):
            found[one.name].append(helper)
        yield Rig(server, model, found)


async def _start(client: Client, contender: Contender, wanted: Load) -> WorkflowHandle[Any, Any]:
    if contender.workflow is None:
        raise RuntimeError(f"{contender.name} has no workflow")
    run_id = f"{contender.name}-{uuid.uuid4()}"
    return await client.start_workflow(
        contender.workflow, args=contender.input(wanted), id=run_id, task_queue=contender.name
    )


async def _ended(contender: Contender, handles: Sequence[WorkflowHandle[Any, Any]]) -> None:
    results = await asyncio.wait_for(asyncio.gather(*(handle.result() for handle in handles)), PATIENCE_SECONDS)
    for result in results:
        answer = result["answer"] if contender.name == "backstay" else result
        if answer != load.ANSWER:
            raise RuntimeError(f"a run of {contender.name} ended early: {str(result)[:500]}")


async def _without_engine(workers: Sequence[Helper], runs: int, wanted: Load) -> None:
    shares = [runs // len(workers) + (place < runs % len(workers)) for place in range(len(workers))]
    ended = await asyncio.gather(*(one.carry(wanted, share) for one, share in zip(workers, shares, strict=True)))
    if sum(ended) != runs:
        raise RuntimeError("a run of the loop without an engine ended early")


async def _used(workers: Sequence[Helper]) -> list[Used]:
    return await asyncio.gather(*(one.used() for one in workers))


def _check(contender: Contender, what: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise RuntimeError(f"{contender.name}: {found} {what} instead of {wanted}")
