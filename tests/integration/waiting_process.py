"""A worker of its own process, with a workflow that opens after a while and then waits for an answer."""

import asyncio
import sys
from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

QUEUE = "asked-ahead"
OPENS_AFTER = 6


@workflow.defn
class Opens:
    """Opens after some seconds; an answer before that is refused."""

    def __init__(self) -> None:
        self.opened = False
        self.answered = False
        self.refused = 0

    @workflow.run
    async def run(self) -> int:
        """Waits for an answer, and returns how many were refused."""
        await workflow.sleep(OPENS_AFTER)
        self.opened = True
        workflow.upsert_memo({"opened": True})
        await workflow.wait_condition(lambda: self.answered)
        workflow.upsert_memo({"opened": False})
        return self.refused

    @workflow.signal
    def answer(self) -> None:
        """Answers."""
        if self.opened:
            self.answered = True
        else:
            self.refused += 1

    @workflow.query
    def is_open(self) -> bool:
        """Tells whether an answer counts."""
        return self.opened


async def main(address: str) -> None:
    """Serves the workflow until the process is killed."""
    from backstay.adapters.engine.sandbox import LeanSandbox

    client = await Client.connect(address)
    patience = timedelta(seconds=2)
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Opens],
        workflow_runner=LeanSandbox(),
        sticky_queue_schedule_to_start_timeout=patience,
    ):
        print("serves", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
