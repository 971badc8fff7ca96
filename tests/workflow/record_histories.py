"""Records the histories that the replay tests replay: real runs, on a real server, by a real worker.

    python -m tests.workflow.record_histories [NAME ...]

writes `tests/workflow/histories/*.json` anew: those that are named, else all but those of `OLDER`. Those of the control
plane, of incidents and of breakers are recorded together, whichever of them is named. A history made by
hand would replay whatever the workflow does. Run it after a change of the workflow that is not meant to serve runs
begun before it; where the change is meant to, leave the old histories alone, let them prove it, add a new run to
`RUNS`, and record that one.
"""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowHandle

from backstay.adapters.engine.dev_server import dev_server
from backstay.client.connection import connect
from backstay.testing import Call, Failure, Reply, Script
from backstay.testing.runtime import LocalRuntime, local_runtime

from . import record_control

HISTORIES = Path(__file__).with_name("histories")
TOOLS = {
    "workshop": Path(__file__).with_name("workshop.py"),
    "clerk": Path(__file__).parent / "dedupe" / "clerk.py",
}
TOML = """
instructions = "You are a careful worker."
[approval]
require = { mark = "finance" }
groups = { finance = ["olga"] }
"""
RULES = """
@id("echoes") @approval("finance") @grantable("uses:2,hours:1")
forbid(principal, action == Action::"echo", resource);
"""
DESK = """
instructions = "You ask people."
tools = ["std:ask_human"]
[std.ask_human]
group = "ops"
[approval]
groups = { ops = ["olga"] }
expires_after = "2s"
"""
NARROW = """
instructions = "You read a lot."
[model]
max_output_tokens = 200
context_window = 4_000
"""
CHATTY = """
instructions = "You talk."
[conversation]
keep_open = "1m"
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
    "granted": [*[Reply(calls=[Call("echo", {"text": text})]) for text in "ab"], Reply("done")],
    "model_unavailable": [Failure(401)],
    "equal_calls": [Reply(calls=[Call("add", {"left": 1, "right": 2})] * 3), Reply("done")],
    "denied_beside": [Reply(calls=[Call("note", {"text": "a"}), *[Call("hammer")] * 3]), Reply("done")],
    "archived": [*[Reply(calls=[Call("note", {"text": text})]) for text in "abc"], Reply("done")],
    "first_link": [Reply(f"look {n}", calls=[Call("note", {"text": f"{n}"})]) for n in range(4)] + [Reply("done")],
    "waiting_link": [
        Reply("two at once", calls=[Call("note", {"text": "b"}), Call("mark", {"text": "a"})]),
        Reply("done"),
    ],
    "odd_messages": [Reply(calls=[Call("mark", {"text": "a"})]), Reply("done")],
    "compacted": [*[Reply(calls=[Call("huge", {"size": 1_000 + n})]) for n in range(8)], Reply("done")],
    "kept_open": [Reply("the first answer"), Reply(calls=[Call("note", {"text": "b"})]), Reply("the second answer")],
    "asked": [
        Reply(calls=[Call("ask_human", {"question": question}) for question in ("red?", "blue?")]),
        Reply("done"),
    ],
}
OLDER = frozenset({"equal_calls", "denied_beside", "odd_messages", "judged_within"})
"""Runs that another worker would take elsewhere today: their histories are left alone, and prove that it does not."""

ARCHIVED: dict[str, dict[str, Any]] = {
    "archived": {"archive": "archive", "archive_every": 12},
    "first_link": {"link_events": 30},
    "waiting_link": {"link_events": 40},
}
"""Runs with settings of their own: those of the archive, which other runs pay nothing for."""
NEXT_LINKS = {"first_link": "second_link", "waiting_link": "waiting_next"}
"""Runs that go on in another link, and the name of that link's history."""

SHARED: dict[str, tuple[str, int]] = {"effect_held": ("brief", 2), "effect_failed": ("moody", 1)}
"""Effects that identical calls share: the tool of the agent `clerk`, and how many runs call it."""

FAMILY = ("delegated", "delegated_child")
"""A run that asks two others and is paused meanwhile, and one of those."""
ASKED = [Call("delegate", {"agent": "helper", "goal": f"part {name}", "budget": {"usd": "0.10"}}) for name in "ab"]
PARTS: dict[str, Script] = {
    "delegated": [Reply(calls=ASKED), Reply("done")],
    "part": [Reply(calls=[Call("gate", {"name": "open"})]), Reply("helped")],
}
LEAD = """
instructions = "You lead."
tools = ["std:delegate", "gate"]
[delegate]
agents = ["helper"]
"""

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


async def granted(handle: Handle) -> None:
    async def pending() -> list[dict[str, Any]]:
        return (await handle.query("status"))["pending_approvals"]

    [approval] = await until(pending)
    grant = {"uses": 1, "until": "1h"}
    await handle.execute_update("approve", {"approval_id": approval["approval_id"], "by": "olga", "grant": grant})


async def odd_messages(handle: Handle) -> None:
    async def pending() -> list[dict[str, Any]]:
        return (await handle.query("status"))["pending_approvals"]

    [approval] = await until(pending)
    await handle.signal("kill", "no object at all")
    await handle.signal("approve", {"approval_id": approval["approval_id"], "by": "Olga"})
    await handle.execute_update("approve", {"approval_id": approval["approval_id"], "by": "olga"})


async def asked(handle: Handle) -> None:
    """One question of two is answered, and the other one is not."""

    async def pending() -> list[dict[str, Any]]:
        return (await handle.query("status"))["pending_approvals"]

    [first, _] = await until(pending)
    await handle.execute_update("answer", {"approval_id": first["approval_id"], "by": "olga", "answer": "red"})


async def kept_open(handle: Handle) -> None:
    """People say more after the answer, and close the conversation after the next one."""

    async def listens() -> bool:
        return (await handle.query("status"))["state"] == "waiting_input"

    await until(listens)
    await handle.execute_update("say", {"by": "rita", "text": "go on"})
    await effect("b")
    await until(listens)
    await handle.execute_update("say", {"by": "rita", "close": True})


async def waits_in_two_links(handle: Handle) -> None:
    """An approval is opened in one link, and answered in the next one."""

    async def pending() -> list[dict[str, Any]]:
        return (await handle.query("status"))["pending_approvals"]

    [approval] = await until(pending)
    while (await handle.query("status"))["link"] == 1:
        await handle.execute_update("resume", {"by": "olga"})
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
    "granted": granted,
    "odd_messages": odd_messages,
    "asked": asked,
    "kept_open": kept_open,
    "first_link": None,
    "waiting_link": waits_in_two_links,
    "invalid_input": None,
}


async def keep(handle: Handle, name: str) -> None:
    """Writes the history of a workflow once it has ended."""
    with contextlib.suppress(WorkflowFailureError):
        await asyncio.wait_for(handle.result(), 60)
    await keep_so_far(handle, name)


async def keep_so_far(handle: Handle, name: str) -> None:
    """Writes the history of a workflow that may go on."""
    history = without_stack_traces((await handle.fetch_history()).to_json_dict())
    write(HISTORIES / f"{name}.json", json.dumps(history, indent=1) + "\n")
    print(f"recorded {name}")


async def record(runtime: LocalRuntime, name: str) -> None:
    """Runs one of `RUNS` to its end, and writes its history."""
    write(LOG, "")
    agent = {"asked": "desk", "compacted": "reader", "kept_open": "talker"}.get(name, "workshop")
    request = {"goal": name, "agent": agent, "metadata": {"log": str(LOG)}, "budget": BUDGETS.get(name)}
    if name == "kept_open":
        request["requested_by"] = "rita"
    handle = await runtime.start(request if name in SCRIPTS else {"goal": 5}, f"recorded-{name}")
    if meanwhile := RUNS[name]:
        await meanwhile(handle)
    await keep(handle, name)
    if name in NEXT_LINKS:
        links = [runtime.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)]
        first = await links[0].fetch_history()
        await keep_so_far(links[0], name)
        following = first.events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id
        await keep_so_far(runtime.client.get_workflow_handle(handle.id, run_id=following), NEXT_LINKS[name])


async def record_effect(runtime: LocalRuntime, name: str) -> None:
    """Lets runs share one of the effects of `SHARED`, and writes its history."""
    tool, runs = SHARED[name]
    for number in range(runs):
        await runtime.start({"goal": name, "agent": "clerk"}, f"recorded-{name}-{number}")

    async def started() -> Handle | None:
        async for one in runtime.client.list_workflows("WorkflowType='Effect'"):
            handle = runtime.client.get_workflow_handle(one.id, run_id=one.run_id)
            if (await (await handle.describe()).static_summary() or "").startswith(f"{tool} "):
                return handle
        return None

    await keep(await until(started), name)


async def record_family(runtime: LocalRuntime) -> None:
    """Runs a parent with two children, and writes its history and that of the first child."""
    write(LOG, "")
    request = {"goal": "delegated", "agent": "lead", "metadata": {"log": str(LOG)}}
    handle = await runtime.start(request, "recorded-delegated")

    async def begun() -> bool:
        return LOG.read_text().count("at the gate") == len(ASKED)

    await until(begun)
    [child, _] = (await handle.query("status"))["children"]
    below = runtime.client.get_workflow_handle(child["run_id"])

    async def is_paused() -> bool:
        return (await below.query("status"))["state"] == "paused"

    await handle.signal("pause", {"by": "olga"})
    await until(is_paused)
    write(Path("open"), "")
    await handle.execute_update("resume", {"by": "olga"})
    await keep(handle, FAMILY[0])
    await keep(below, FAMILY[1])


@contextlib.asynccontextmanager
async def workshop(**more: Any) -> AsyncGenerator[LocalRuntime]:
    """A runtime with the agent `workshop`, on a server of its own; nothing in its histories names this machine."""
    agents = Path.cwd() / "agents"
    for agent, tools in TOOLS.items():
        (agents / agent).mkdir(parents=True, exist_ok=True)
        (agents / agent / "agent.toml").write_text(TOML if agent == "workshop" else 'instructions = "Be careful."\n')
        (agents / agent / "tools.py").write_text(tools.read_text())
    (agents / "workshop" / "policy.cedar").write_text(RULES)
    for agent, toml in (("lead", LEAD), ("helper", 'instructions = "You help."\n')):
        (agents / agent).mkdir(parents=True, exist_ok=True)
        (agents / agent / "agent.toml").write_text(toml)
        (agents / agent / "tools.py").write_text(TOOLS["workshop"].read_text())
    (agents / "reader").mkdir(exist_ok=True)
    (agents / "reader" / "agent.toml").write_text(NARROW)
    (agents / "reader" / "tools.py").write_text(TOOLS["workshop"].read_text())
    (agents / "talker").mkdir(exist_ok=True)
    (agents / "talker" / "agent.toml").write_text(CHATTY)
    (agents / "talker" / "tools.py").write_text(TOOLS["workshop"].read_text())
    (agents / "desk").mkdir(exist_ok=True)
    (agents / "desk" / "agent.toml").write_text(DESK)
    write(agents / "clerk" / "go", "")
    calls = {name: [Reply(calls=[Call(tool, {"order": "A1"})]), Reply("done")] for name, (tool, _) in SHARED.items()}
    async with dev_server() as server:
        client = await connect(target_host=server.address, namespace="default", identity="recorder")
        settings = {"agents": agents, "client": client, "task_queue": "recorded", **more}
        async with local_runtime({**SCRIPTS, **calls, **PARTS}, **settings) as runtime:
            yield runtime


async def main(wanted: Collection[str]) -> None:
    """Records runs, one after the other, in a directory that is gone afterwards."""
    HISTORIES.mkdir(exist_ok=True)
    for old in HISTORIES.glob("*.json"):
        if old.stem in wanted:
            old.unlink()
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        try:
            control = {*record_control.NAMES, record_control.MONEY, *FAMILY}
            if runs := [name for name in wanted if name not in control and name not in ARCHIVED]:
                async with workshop() as runtime:
                    for name in runs:
                        await (record_effect if name in SHARED else record)(runtime, name)
            if set(wanted) & set(FAMILY):
                async with workshop() as runtime:
                    await record_family(runtime)
            for name in ARCHIVED.keys() & set(wanted):
                async with workshop(**ARCHIVED[name]) as runtime:
                    await record(runtime, name)
            if set(wanted) & set(record_control.NAMES):
                await record_control.record_control(keep_so_far)
            if record_control.MONEY in wanted:
                await record_control.record_money(keep_so_far)
        finally:
            os.chdir(here)


if __name__ == "__main__":
    asyncio.run(
        main(
            sys.argv[1:]
            or [
                name
                for name in (*RUNS, *SHARED, *FAMILY, *record_control.NAMES, record_control.MONEY)
                if name not in OLDER
            ]
        )
    )
