"""Runs of one tenant on workers and a server that die: what they end as, and the books of their ledger."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle

from backstay.client.connection import connect
from backstay.contracts import names
from backstay.contracts.ledger import LedgerView
from backstay.contracts.run import RunResult
from backstay.kernel.keys import ledger_id
from backstay.kernel.ledger import Books
from backstay.testing import ScriptedModel
from backstay.testing.model.script import Script

from .refund_shop import Server, restartable
from .worker_process import supervised, worker_environment

TENANT = "acme"


@dataclass(frozen=True, slots=True)
class Fleet:
    """Runs that are under way; `deaths` are the exit codes of workers that died."""

    client: Client
    server: Server
    deaths: list[int]
    runs: list[WorkflowHandle[Any, Any]]

    async def restart(self) -> None:
        """Kills the server and starts it anew."""
        self.server.kill()
        await self.server.restart(0.5)

    async def closed(self) -> int:
        """Counts the runs that have ended, as far as the server tells."""
        with contextlib.suppress(Exception):  # the server may be down
            described = await asyncio.gather(*(run.describe() for run in self.runs))
            return sum(one.close_time is not None for one in described)
        return 0

    async def until_closed(self, count: int) -> None:
        """Waits until so many runs have ended."""
        while await self.closed() < count:
            await asyncio.sleep(0.1)

    async def results(self) -> list[RunResult]:
        """Returns the results of the runs."""
        return [RunResult.model_validate(await run.result()) for run in self.runs]

    async def books(self) -> Books:
        """Reads the books of the tenant's ledger."""
        answer: Any = await self.client.get_workflow_handle(ledger_id(TENANT)).query(names.BOOKS)
        return LedgerView.model_validate(answer).books


@contextlib.asynccontextmanager
async def fleet(
    folder: Path, agents: Path, script: Script, runs: int, environment: dict[str, str] | None = None
) -> AsyncGenerator[Fleet]:
    """Starts runs of the agent `clerk` on a server of their own, and workers that are started again when they die.

    Args:
        folder: where the server keeps its database; tools find it in the run's metadata as `here`.
        agents: the folder of agents.
        script: what the model says.
        runs: how many runs there are.
        environment: what is set for workers beside the usual.
    """
    queue = f"agents-{uuid.uuid4()}"
    async with restartable(folder / "temporal.db") as server, ScriptedModel(script) as model:
        variables = {**worker_environment(agents, queue, model, server.address), **(environment or {})}
        async with supervised(variables) as deaths:
            client = await connect(target_host=server.address, namespace="default")
            given = {"goal": "work", "agent": "clerk", "tenant": TENANT, "metadata": {"here": str(folder)}}
            started = [
                await client.start_workflow(names.AGENT_RUN, given, id=f"run-{number}", task_queue=queue)
                for number in range(runs)
            ]
            yield Fleet(client, server, deaths, started)
