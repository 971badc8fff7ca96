"""An office: the agent `lead` asks the agent `helper` to do a part of its work."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from temporalio.client import WorkflowExecutionStatus, WorkflowHandle

from backstay.contracts.run import RunResult
from backstay.testing import Call, Reply
from tests.workflow.conftest import Handle, Workshop

LEAD = """tools = ["std:delegate", "note", "look", "gate", "echo", "work"]
[delegate]
agents = ["helper"]
"""
HELPER = """description = "Helps."
tools = ["note", "look", "gate", "echo", "work"]
"""


def ask(goal: str, **budget: Any) -> Call:
    """A call that asks the helper."""
    return Call("delegate", {"agent": "helper", "goal": goal, **({"budget": budget} if budget else {})})


class Office(Workshop):
    """A runtime with both agents."""

    def request(self) -> dict[str, Any]:
        """A request that the lead takes."""
        return {"goal": "lead", "agent": "lead", "requested_by": "rita", "metadata": {"log": str(self.log)}}

    async def children(self, handle: Handle, count: int = 1) -> list[WorkflowHandle[Any, Any]]:
        """Waits until so many children have begun, and returns them."""
        found: list[str] = []

        async def begun() -> bool:
            nonlocal found
            found = [child["run_id"] for child in (await self.status(handle)).get("children", ()) if child["run_id"]]
            return len(found) >= count

        await self.until(begun)
        return [self.runtime.client.get_workflow_handle(run_id) for run_id in found]

    def texts(self) -> list[str]:
        """The results of calls in the last request to the model."""
        return [text for _, text in self.answers()]

    async def status(self, handle: Handle) -> dict[str, Any]:
        """The answer of the query `status`."""
        return await handle.query("status")

    async def ended(self, handle: Handle) -> RunResult:
        """The result of a run, which is a child or not."""
        return RunResult.model_validate(await asyncio.wait_for(handle.result(), 40))

    async def is_open(self, handle: Handle) -> bool:
        """Tells whether a run is open."""
        return (await handle.describe()).status is WorkflowExecutionStatus.RUNNING


OfficeOpener = Callable[..., AbstractAsyncContextManager[Office]]
DONE = [Reply("helped")]
