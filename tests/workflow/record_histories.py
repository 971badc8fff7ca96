"""Records the histories that the replay tests replay: real runs, on a real server, by a real worker.

    python -m tests.workflow.record_histories

writes `tests/workflow/histories/*.json` anew, all of them. A history made by hand would replay whatever the workflow
does. Run it after a change of the workflow that is not meant to serve runs begun before it; where the change is meant
to, leave the old histories alone, let them prove it, and add a new run to `RUNS`.
"""

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowHandle

from backstay.adapters.dev_server import dev_server
from backstay.connection import connect
from backstay.testing import Call, Failure, Reply, Script
from backstay.testing.local_runtime import LocalRuntime, local_runtime

HISTORIES = Path(__file__).with_name("histories")
TOOLS = Path(__file__).with_name("workshop.py")
TOML = """
instructions = "You are a careful worker."
[approval]
require = { mark = "finance" }
groups = { finance = ["olga"] }
"""
LOG = Path("effects.log")

Handle = WorkflowHandle[Any, Any]
WORK = Reply(calls=[Call("work", {"text": "a", "seconds": 60})])
SCRIPTS: dict[str, Script] = {
    "completed": [
        Reply("two at once", calls=[Call("add", {"left": 1, "right": 2}), Call("note", {"text": "b"})]),
        Reply(calls=[Call("hammer")]),
        Reply(calls=[Call("note", "{}")]),
        Reply(),
        Reply("done"),
    ],
    "no_progress": [Reply(calls=[Call("add", {"left": 1, "right": 2})])] * 3,
    "budget_exhausted": [Reply(calls=[Call("note", {"text": str(n)}) for n in range(3)]), Reply("done")],
    "deadline": [WORK],
    "killed": [WORK],
    "paused": [Reply(calls=[Call("gate", {"name": "open"})]), Reply("done")],
    "cancelled": [WORK],
    "approved": [Reply(calls=[Call("mark", {"text": "a"}), Call("note", {"text": "b"})]), Reply("done")],
    "model_unavailable": [Failure(401)],
}
BUDGETS: dict[str, dict[str, Any]] = {"budget_exhausted": {"tool_calls": 2}, "deadline": {"seconds": 2}}


def write(file: Path, text: str) -> None:
    file.write_text(text)


def without_stack_traces(value: Any) -> Any:
    """A history without the stack traces of its failures: they name paths of the machine, and replay ignores them."""
    if isinstance(value, dict):
        return {key: without_stack_traces(entry) for key, entry in value.items() if key != "stackTrace"}
    return [without_stack_traces(entry) for entry in value] if isinstance(value, list) else value


async def until(holds: Callable[[], Awaitable[Any]]) -> Any:
    """Waits for what is true, and returns it."""
    while not (found := await holds()):
        await asyncio.sleep(0.02)
    return found


async def effect(line: str) -> None:
    """Waits until a tool has written a line down."""

    async def holds() -> bool:
        return line in LOG.read_text()

    await until(holds)


async def killed(handle: Handle) -> None:
    await effect("begin a")
    await handle.execute_update("kill", {"by": "olga", "reason": "enough"})


async def paused(handle: Handle) -> None:
    async def observed() -> bool:
        return any(item["kind"] == "result" for item in (await handle.query("transcript"))["items"])

    await effect("at the gate")
    await handle.signal("pause", {"by": "olga", "reason": "lunch"})
    await handle.signal("pause", "no object at all")
    write(Path("open"), "")
    await until(observed)
    await handle.execute_update("resume", {"by": "olga"})


async def approved(handle: Handle) -> None:
    async def pending() -> list[dict[str, Any]]:
        return (await handle.query("status"))["pending_approvals"]

    [approval] = await until(pending)
    await handle.execute_update("approve", {"approval_id": approval["approval_id"], "by": "olga"})


async def cancelled(handle: Handle) -> None:
    await effect("begin a")
    await handle.cancel()


RUNS: dict[str, Callable[[Handle], Awaitable[None]] | None] = {
    **dict.fromkeys(SCRIPTS),
    "killed": killed,
    "paused": paused,
    "cancelled": cancelled,
    "approved": approved,
    "invalid_input": None,
}


async def record(runtime: LocalRuntime, name: str) -> None:
    """Runs one of `RUNS` to its end, and writes its history."""
    write(LOG, "")
    request = {"goal": name, "agent": "workshop", "metadata": {"log": str(LOG)}, "budget": BUDGETS.get(name)}
    handle = await runtime.start(request if name in SCRIPTS else {"goal": 5}, f"recorded-{name}")
    if meanwhile := RUNS[name]:
        await meanwhile(handle)
    with contextlib.suppress(WorkflowFailureError):
        await asyncio.wait_for(handle.result(), 60)
    history = without_stack_traces((await handle.fetch_history()).to_json_dict())
    write(HISTORIES / f"{name}.json", json.dumps(history, indent=1) + "\n")
    print(f"recorded {name}")


@contextlib.asynccontextmanager
async def workshop() -> AsyncGenerator[LocalRuntime]:
    """A runtime with the agent `workshop`, on a server of its own; nothing in its histories names this machine."""
    folder = Path.cwd() / "agents" / "workshop"
    folder.mkdir(parents=True)
    (folder / "agent.toml").write_text(TOML)
    (folder / "tools.py").write_text(TOOLS.read_text())
    async with dev_server() as server:
        client = await connect(target_host=server.address, namespace="default", identity="recorder")
        settings = {"agents": folder.parent, "client": client, "task_queue": "recorded"}
        async with local_runtime(SCRIPTS, **settings) as runtime:
            yield runtime


async def main() -> None:
    """Records every run, one after the other, in a directory that is gone afterwards."""
    HISTORIES.mkdir(exist_ok=True)
    for old in HISTORIES.glob("*.json"):
        old.unlink()
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        try:
            async with workshop() as runtime:
                for name in RUNS:
                    await record(runtime, name)
        finally:
            os.chdir(here)


if __name__ == "__main__":
    asyncio.run(main())
