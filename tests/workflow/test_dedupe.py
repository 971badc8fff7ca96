"""An identical effect happens once: whoever asks for it gets the first one's result, whenever and wherever it asks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

from backstay.app import application
from backstay.connection import connect
from backstay.testing import Call, Reply, Request
from backstay.testing.local_runtime import LocalRuntime, local_runtime

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from temporalio.client import Client, WorkflowHandle

    Opener = Callable[..., AbstractAsyncContextManager["Shop"]]
    Quickly = Callable[[float], AbstractAsyncContextManager[None]]

PAIRS = 50 if os.environ.get("BACKSTAY_SOAK") == "1" else 10
PATIENCE = 40.0
KILL = {"by": "olga", "reason": "enough"}
TOOLS = '''
import asyncio
from pathlib import Path
from backstay.tools import NOT_HAPPENED, Happened, ToolCall, ToolError, tool

HERE = Path(__file__).parent

def log(line: str) -> int:
    with (HERE / "log.txt").open("a") as file:
        file.write(line + "\\n")
    return len((HERE / "log.txt").read_text().splitlines())

def there(name: str) -> bool:
    return (HERE / name).exists()

async def gate(name: str) -> None:
    while not there(name):
        await asyncio.sleep(0.02)

def ask(call: ToolCall, order: str):
    log(f"asked {call.idempotency_key}")
    lines = (HERE / "log.txt").read_text().splitlines()
    return Happened(f"sent {order}") if f"sent {order} {call.idempotency_key}" in lines else NOT_HAPPENED

@tool(effect="write", dedupe="tenant", cost="0.01")
async def refund(call: ToolCall, order: str, amount: int = 5) -> str:
    """Refunds an order."""
    number = log(f"refund {order} {amount} {call.tenant} {call.idempotency_key}")
    await asyncio.sleep(0.05)
    return f"receipt {number}"

@tool(effect="write", dedupe="tenant")
async def credit(call: ToolCall, order: str, amount: int = 5) -> str:
    """Credits an order."""
    return f"credit {log(f'credit {order}')}"

@tool(effect="once", dedupe="run")
async def mail(call: ToolCall, order: str) -> str:
    """Mails about an order."""
    return f"mail {log(f'mail {order}')}"

@tool(effect="write", dedupe="tenant", dedupe_window="2s")
async def brief(order: str) -> str:
    """Does not remember for long."""
    return f"brief {log('brief')}"

@tool(effect="write", dedupe="tenant")
async def moody(order: str) -> str:
    """Fails until a file says otherwise."""
    number = log("moody")
    await gate("go")
    if not there("well"):
        raise ToolError(f"not today {number}")
    return f"well {number}"

@tool(effect="write", dedupe="tenant")
async def slow(call: ToolCall, order: str) -> str:
    """Takes its time."""
    log(f"begin {order} {call.idempotency_key}")
    try:
        await gate("go")
    except asyncio.CancelledError:
        log(f"cut {order}")
        raise
    return f"slow {log(f'end {order}')}"

@tool(effect="once", dedupe="tenant")
async def slow_once(call: ToolCall, order: str) -> str:
    """Takes its time, and must happen once."""
    log(f"begin {order}")
    await gate("go")
    return f"slow {log(f'end {order}')}"

@tool(effect="once", dedupe="tenant", reconcile=ask)
async def wire(call: ToolCall, order: str) -> str:
    """Happens, and then takes its time."""
    log(f"sent {order} {call.idempotency_key}")
    await gate("go")
    return f"sent {order}"

@tool(effect="once", dedupe="tenant", timeout="500ms")
async def lost(call: ToolCall, order: str) -> str:
    """Nobody sees the end of the first attempt."""
    if log(f"lost {order}") == 1:
        await asyncio.sleep(30)
    return f"found {order}"

@tool(effect="once", dedupe="tenant", timeout="500ms", reconcile=ask)
async def send(call: ToolCall, order: str) -> str:
    """Nobody sees the end of the first attempt, but the tool can be asked."""
    number = log(f"try {order}")
    if number > 1 or there("commits"):
        log(f"sent {order} {call.idempotency_key}")
    if number == 1:
        await asyncio.sleep(30)
    return f"sent {order}"
'''
TOML = """
[approval]
unknown = "ops"
groups = { ops = ["olga"] }
"""


class Shop:
    """A runtime whose agent `clerk` makes the calls that its goal spells as JSON, all of them in one step."""

    def __init__(self, runtime: LocalRuntime, folder: Path) -> None:
        self.runtime = runtime
        self.folder = folder
        self.tenant = f"acme-{uuid.uuid4()}"  # the server is shared, and so are the effects of a tenant

    async def start(self, *calls: tuple[str, dict[str, Any]], tenant: str | None = None) -> WorkflowHandle[Any, Any]:
        """Starts a run that makes these calls at once."""
        request = {"goal": json.dumps(calls), "agent": "clerk", "tenant": tenant or self.tenant}
        return await self.runtime.start(request)

    async def results(self, handle: WorkflowHandle[Any, Any]) -> list[str]:
        """What the calls of a run brought, once it has ended."""
        await asyncio.wait_for(handle.result(), PATIENCE)
        items = (await handle.query("transcript"))["items"]
        return [item["text"] for item in items if item["kind"] == "result"]

    async def run(self, *calls: tuple[str, dict[str, Any]], tenant: str | None = None) -> list[str]:
        """What the calls of a new run bring."""
        return await self.results(await self.start(*calls, tenant=tenant))

    def lines(self, start: str = "") -> list[str]:
        """The effects so far."""
        file = self.folder / "log.txt"
        return [line for line in file.read_text().splitlines() if line.startswith(start)] if file.exists() else []

    def touch(self, name: str) -> None:
        """Opens a gate of the tools."""
        (self.folder / name).touch()

    async def until(self, holds: Callable[[], Any]) -> None:
        """Waits until a condition holds."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, f"the condition did not come to hold: {self.lines()}"
            await asyncio.sleep(0.02)

    async def until_acting(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Waits until a run executes a call."""
        while True:
            pending = (await handle.describe()).raw_description.pending_activities
            if any(one.activity_id.startswith("act-") for one in pending):
                return
            await asyncio.sleep(0.05)

    async def effects(self) -> list[Any]:
        """The descriptions of all effects of this runtime."""
        query = f"WorkflowType='Effect' AND TaskQueue='{self.runtime.settings.task_queue}'"
        return [one async for one in self.runtime.client.list_workflows(query)]

    async def effect(self, handle: WorkflowHandle[Any, Any], claims: int = 1) -> WorkflowHandle[Any, Any]:
        """The one effect, once so many claims have reached it."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for one in await self.effects():
                found = self.runtime.client.get_workflow_handle(one.id)
                events = [event async for event in found.fetch_history_events()]
                accepted = [e for e in events if e.HasField("workflow_execution_update_accepted_event_attributes")]
                if len(accepted) >= claims:
                    return found
            await asyncio.sleep(0.05)
        raise AssertionError("there is no such effect")

    @contextlib.asynccontextmanager
    async def worker(self, effects: bool = True, **options: Any) -> AsyncGenerator[None]:
        """Another worker, on a connection of its own; without `effects` it performs none."""
        address = self.runtime.client.service_client.config.target_host
        client = await connect(target_host=address, namespace=self.runtime.client.namespace)
        app = application(self.runtime.settings)
        if effects:
            async with app.serving(client, **options):
                yield
            return
        [runs, _] = app.workers(client, options)
        try:
            async with runs:
                yield
        finally:
            await app.catalog.close()


def turn(request: Request) -> Reply:
    """The calls that the goal spells."""
    return Reply(calls=[Call(tool, args) for tool, args in json.loads(request.goal)])


@pytest.fixture
def opened(client: Client, agent_folder: Callable[..., Path]) -> Opener:
    """Opens a shop."""

    @contextlib.asynccontextmanager
    async def open_shop(toml: str = TOML, **settings: Any) -> AsyncGenerator[Shop]:
        agents = agent_folder("clerk", toml, TOOLS)
        async with local_runtime([turn, Reply("done")], agents=agents, client=client, **settings) as runtime:
            yield Shop(runtime, agents / "clerk")

    return open_shop


def quickly(since: float, seconds: float) -> None:
    assert time.monotonic() - since < seconds


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_of_two_runs_that_race_one_performs_and_both_get_its_result(opened: Opener) -> None:
    async with opened() as shop:

        async def pair(number: int) -> None:
            call = ("refund", {"order": f"A{number}"})
            runs = await asyncio.gather(shop.start(call), shop.start(call))
            first, second = [await shop.results(run) for run in runs]
            assert first == second
            assert first[0].startswith("receipt")
            spent = [(await run.result())["spent"] for run in runs]
            assert [spend["tool_calls"] for spend in spent] == [1, 1]
            tools = [(await run.query("audit"))["items"] for run in runs]
            costs = [record["facts"]["usd"] for items in tools for record in items if record["event"] == "call_ended"]
            assert sorted(costs, key=str) == ["0", "0.01"] or sorted(costs) == [0, 10_000]

        await asyncio.gather(*(pair(number) for number in range(PAIRS)))
        lines = shop.lines("refund")
        assert len(lines) == PAIRS
        assert len({line.split()[-1] for line in lines}) == PAIRS


async def test_a_later_run_gets_the_first_result(opened: Opener) -> None:
    async with opened() as shop:
        first = await shop.run(("refund", {"order": "A1"}))
        assert await shop.run(("refund", {"order": "A1", "amount": 5})) == first
        assert len(shop.lines("refund")) == 1


async def test_other_arguments_tenants_and_tools_are_other_effects(opened: Opener) -> None:
    async with opened() as shop:
        call = ("refund", {"order": "A1"})
        got = [
            await shop.run(call),
            await shop.run(("refund", {"order": "A2"})),
            await shop.run(("refund", {"order": "A1", "amount": 6})),
            await shop.run(call, tenant=f"globex-{uuid.uuid4()}"),
            await shop.run(("credit", {"order": "A1"})),
        ]
        assert len({result for [result] in got}) == len(shop.lines()) == 5


async def test_within_one_run_identical_calls_are_one_effect_and_another_run_is_free(opened: Opener) -> None:
    async with opened() as shop:
        call = ("mail", {"order": "A1"})
        assert await shop.run(call, call, ("mail", {"order": "A2"}), call) != []
        assert sorted(shop.lines()) == ["mail A1", "mail A2"]
        await shop.run(call)
        assert len(shop.lines()) == 3


async def test_after_the_window_it_is_a_new_effect(opened: Opener) -> None:
    async with opened() as shop:
        call = ("brief", {"order": "A1"})
        first = await shop.run(call)
        assert await shop.run(call) == first
        effect = await shop.effect(await shop.start(call), 3)
        ended = await asyncio.wait_for(effect.result(), PATIENCE)
        assert ended == {"state": "released", "performances": 1, "claims": 3}
        assert await shop.run(call) != first
        assert len(shop.lines()) == 2


async def test_a_failed_effect_is_told_to_all_who_wait_and_releases_the_lock(opened: Opener) -> None:
    async with opened() as shop:
        call = ("moody", {"order": "A1"})
        runs = [await shop.start(call), await shop.start(call)]
        effect = await shop.effect(runs[0], 2)
        shop.touch("go")
        assert [await shop.results(run) for run in runs] == [["failed: not today 1"]] * 2
        await asyncio.wait_for(effect.result(), PATIENCE)
        shop.touch("well")
        assert await shop.run(call) == ["well 2"]
        assert await shop.run(call) == ["well 2"]


async def test_many_claims_at_once_get_one_result(opened: Opener) -> None:
    async with opened() as shop:
        call = ("slow", {"order": "A1"})
        runs = await asyncio.gather(*(shop.start(call) for _ in range(16)))
        await shop.effect(runs[0], 16)
        began = time.monotonic()
        shop.touch("go")
        assert {tuple(await shop.results(run)) for run in runs} == {("slow 2",)}
        quickly(began, 15)


async def test_a_killed_claimant_that_is_alone_ends_the_effect_and_the_next_performs_under_the_same_key(
    opened: Opener,
) -> None:
    async with opened() as shop:
        call = ("slow", {"order": "A1"})
        run = await shop.start(call)
        await shop.until(lambda: shop.lines("begin"))
        began = time.monotonic()
        await run.execute_update("kill", KILL)
        result = await asyncio.wait_for(run.result(), PATIENCE)
        quickly(began, 3)
        assert [flight["outcome"] for flight in result["in_flight"]] == ["unknown"]
        assert shop.lines("cut") == ["cut A1"]
        shop.touch("go")
        assert await shop.run(call) == ["slow 4"]
        assert await shop.run(call) == ["slow 4"]
        keys = {line.split()[-1] for line in shop.lines("begin")}
        assert len(keys) == 1


@pytest.mark.parametrize("killed", [0, 1], ids=["the first", "the second"])
async def test_where_others_wait_the_effect_goes_on_for_them(opened: Opener, killed: int) -> None:
    async with opened() as shop:
        call = ("slow", {"order": "A1"})
        runs = [await shop.start(call)]
        await shop.until(lambda: shop.lines("begin"))
        runs.append(await shop.start(call))
        await shop.effect(runs[1], 2)
        began = time.monotonic()
        await runs[killed].execute_update("kill", KILL)
        result = await asyncio.wait_for(runs[killed].result(), PATIENCE)
        quickly(began, 3)
        assert [flight["outcome"] for flight in result["in_flight"]] == [["unknown", "cancelled"][killed]]
        shop.touch("go")
        assert await shop.results(runs[1 - killed]) == ["slow 2"]
        assert [line.split()[0] for line in shop.lines()] == ["begin", "end"]


async def test_a_terminated_claimant_withdraws_too(opened: Opener) -> None:
    async with opened() as shop:
        run = await shop.start(("slow", {"order": "A1"}))
        await shop.until(lambda: shop.lines("begin"))
        await run.terminate("no more")
        await shop.until(lambda: shop.lines("cut"))


async def test_more_calls_wait_than_a_worker_has_slots(opened: Opener) -> None:
    async with opened(worker=False) as shop, shop.worker(max_concurrent_activities=2):
        calls = [("refund", {"order": f"A{number}"}) for number in range(6)]
        assert len(set(await shop.run(*calls))) == 6


async def test_a_kill_before_the_effect_began_releases_the_lock(opened: Opener) -> None:
    async with opened(worker=False) as shop:
        call = ("slow_once", {"order": "A1"})
        async with shop.worker(effects=False):
            run = await shop.start(call)
            effect = await shop.effect(run)
            began = time.monotonic()
            await run.execute_update("kill", KILL)
            result = await asyncio.wait_for(run.result(), PATIENCE)
            quickly(began, 3)
            assert [flight["outcome"] for flight in result["in_flight"]] == ["cancelled"]
            assert (await asyncio.wait_for(effect.result(), PATIENCE))["performances"] == 0
        assert shop.lines() == []


async def test_a_worker_is_replaced_while_claims_wait(opened: Opener) -> None:
    async with opened(worker=False, shutdown_seconds=1) as shop:
        call = ("slow", {"order": "A1"})
        async with shop.worker():
            runs = [await shop.start(call), await shop.start(call)]
            await shop.effect(runs[0], 2)
            await shop.until(lambda: shop.lines("begin"))
        async with shop.worker():
            await shop.until(lambda: len(shop.lines("begin")) == 2)
            shop.touch("go")
            results = [await shop.results(run) for run in runs]
        assert results[0] == results[1]
        assert len(shop.lines("end")) == 1
        assert len({line.split()[-1] for line in shop.lines("begin")}) == 1


@contextlib.asynccontextmanager
async def worker_process(shop: Shop) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A worker in a process of its own, which is killed at the end."""
    settings = shop.runtime.settings
    environment = {
        **os.environ,
        "TEMPORAL_ADDRESS": shop.runtime.client.service_client.config.target_host,
        "BACKSTAY_AGENTS": str(shop.folder.parent),
        "BACKSTAY_TASK_QUEUE": settings.task_queue,
        "BACKSTAY_MODEL_PRICE": "input=0.25,cached_input=0.025,output=2.00",
        "OPENAI_BASE_URL": str(settings.openai_base_url),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "backstay", "worker", env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_a_worker_that_dies_leaves_claims_that_go_on_and_an_outcome_that_is_asked_for(opened: Opener) -> None:
    async with opened(worker=False) as shop:
        call = ("wire", {"order": "A1"})
        async with worker_process(shop):
            runs = [await shop.start(call), await shop.start(call)]
            await shop.effect(runs[0], 2)
            await shop.until(lambda: shop.lines("sent"))
        async with shop.worker():
            assert [await shop.results(run) for run in runs] == [["sent A1"], ["sent A1"]]
        assert len(shop.lines("sent")) == 1
        assert len({line.split()[-1] for line in shop.lines("asked")}) == 1


async def test_a_claim_that_no_worker_answers_can_be_killed_all_the_same(opened: Opener) -> None:
    async with opened() as gone:
        call = ("refund", {"order": "A1"})
        await gone.run(call)
        tenant = gone.tenant
    async with opened() as shop:
        run = await shop.start(call, tenant=tenant)
        await shop.until_acting(run)
        began = time.monotonic()
        await run.execute_update("kill", KILL)
        result = await asyncio.wait_for(run.result(), PATIENCE)
        quickly(began, 6)
        assert [flight["outcome"] for flight in result["in_flight"]] == ["unknown"]


async def test_an_unknown_outcome_holds_the_lock(opened: Opener) -> None:
    async with opened(toml="") as shop:
        call = ("lost", {"order": "A1"})
        for _ in range(2):
            result = await asyncio.wait_for((await shop.start(call)).result(), PATIENCE)
            assert (result["stop_reason"], result["stop_detail"]) == ("outcome_unknown", "lost")
        assert len(shop.lines()) == 1


async def answered(shop: Shop, run: WorkflowHandle[Any, Any], answer: dict[str, Any]) -> list[str]:
    while not (asked := (await run.query("status"))["pending_approvals"]):
        await asyncio.sleep(0.05)
    await run.execute_update("answer", {"approval_id": asked[0]["approval_id"], "by": "olga", **answer})
    return await shop.results(run)


async def test_once_it_is_known_not_to_have_happened_it_is_performed_and_shared(opened: Opener) -> None:
    async with opened() as shop:
        call = ("lost", {"order": "A1"})
        runs = [await shop.start(call), await shop.start(call)]
        told = await asyncio.gather(*(answered(shop, run, {"answer": "not_happened"}) for run in runs))
        assert told == [["found A1"], ["found A1"]]
        assert await shop.run(call) == ["found A1"]
        assert len(shop.lines("lost")) == 2


@pytest.mark.parametrize("commits", [True, False])
async def test_a_tool_is_asked_under_the_key_of_the_call_that_performed(opened: Opener, commits: bool) -> None:
    async with opened() as shop:
        if commits:
            shop.touch("commits")
        call = ("send", {"order": "A1"})
        runs = [await shop.start(call), await shop.start(call)]
        assert [await shop.results(run) for run in runs] == [["sent A1"], ["sent A1"]]
        assert len(shop.lines("sent")) == 1
        assert len({line.split()[-1] for line in shop.lines("asked")}) == 1


async def test_an_effect_that_is_broken_off_is_unknown(opened: Opener) -> None:
    async with opened(toml="") as shop:
        run = await shop.start(("slow_once", {"order": "A1"}))
        await shop.until(lambda: shop.lines("begin"))
        await (await shop.effect(run)).terminate("by hand")
        result = await asyncio.wait_for(run.result(), PATIENCE)
        assert result["stop_reason"] == "outcome_unknown"


async def test_the_effect_says_what_it_is_and_never_the_arguments(opened: Opener) -> None:
    async with opened() as shop:
        run = await shop.start(("refund", {"order": "canary-5e1f"}))
        await shop.results(run)
        effect = await shop.effect(run)
        described = await effect.describe()
        assert await described.static_summary() == f"refund · tenant {shop.tenant}"
        history = [event async for event in effect.fetch_history_events()]
        assert not any(b"canary-5e1f" in event.SerializeToString() for event in history)
        shown = (await effect.query("__temporal_workflow_metadata")).current_details
        assert "held" in shown
        assert "canary-5e1f" not in shown


CALL = {"workflow_id": "w", "run_id": "r", "call_id": "1-0", "task_queue": "q"}
START = {"call": CALL, "key": "k", "tenant": "acme", "tool": "refund", "effect": "write", "timeout": 5, "window": 60}
RESULT = {"status": "completed", "text": "canary-5e1f"}
HELD = {"performer": {"call": CALL}, "performances": 1, "result": RESULT, "free": False, "until_ms": 1}
MISFITS: dict[str, list[Any]] = {
    "none": [],
    "two": [START, START],
    "null": [None],
    "text": ["canary-5e1f"],
    "a list": [["canary-5e1f"]],
    "no call": [{**START, "call": None}],
    "raw arguments": [{**START, "arguments": "canary-5e1f"}],
    "an effect of its own": [{**START, "effect": "read"}],
    "no time": [{**START, "timeout": 0}],
    "for ever": [{**START, "window": 1e300}],
    "a state of its own": [{**START, "held": HELD}],
}


async def test_a_start_that_does_not_fit_fails_at_once(opened: Opener) -> None:
    async with opened() as shop:
        for name, args in MISFITS.items():
            client, queue = shop.runtime.client, shop.runtime.settings.task_queue
            handle = await client.start_workflow("Effect", args=args, id=f"misfit-{uuid.uuid4()}", task_queue=queue)
            with pytest.raises(WorkflowFailureError) as caught:
                await asyncio.wait_for(handle.result(), 10)
            assert isinstance(caught.value.cause, ApplicationError), name
            assert caught.value.cause.type == "InvalidInput", name
            assert "canary" not in str(caught.value.cause), name


async def test_a_claim_that_does_not_fit_is_refused_and_harms_nothing(opened: Opener) -> None:
    async with opened() as shop:
        run = await shop.start(("slow", {"order": "A1"}))
        effect = await shop.effect(run)
        for payload in ([], [None], ["x"], [{}], [{"call": CALL, "again": -1}], [{"call": CALL}, {"call": CALL}]):
            with pytest.raises(WorkflowUpdateFailedError) as caught:
                await asyncio.wait_for(effect.execute_update("claim", args=payload), 10)
            assert isinstance(caught.value.cause, ApplicationError)
            assert caught.value.cause.type == "InvalidMessage"
            await effect.signal("withdraw", args=payload)
        shop.touch("go")
        assert await shop.results(run) == ["slow 2"]


async def by_hand(shop: Shop, effect_id: str, start: Any, claim: Any) -> Any:
    operation: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
        "Effect",
        start,
        id=effect_id,
        task_queue=shop.runtime.settings.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    update = shop.runtime.client.execute_update_with_start_workflow("claim", claim, start_workflow_operation=operation)
    return await asyncio.wait_for(update, PATIENCE)


async def test_nothing_is_performed_for_an_effect_that_is_started_by_hand(opened: Opener) -> None:
    async with opened() as shop:
        run = await shop.start(("refund", {"order": "A1"}))
        await shop.results(run)
        effect = await shop.effect(run)
        start = (await effect.fetch_history()).events[0].workflow_execution_started_event_attributes
        [given] = await shop.runtime.client.data_converter.decode(start.input.payloads)
        before = len(shop.lines())
        await effect.terminate("forgotten")
        forged = [
            (effect.id, given),  # the call is over
            (f"effect-{uuid.uuid4()}", given),
            (effect.id, {**given, "call": {**given["call"], "call_id": "7-0"}}),
            (effect.id, {**given, "call": {**given["call"], "run_id": str(uuid.uuid4())}}),
            (effect.id, {**given, "call": {**given["call"], "workflow_id": "nobody"}}),
        ]
        for effect_id, start in forged:
            answer = await by_hand(shop, effect_id, start, {"call": start["call"]})
            assert answer["result"]["status"] == "denied"
        assert len(shop.lines()) == before


async def test_an_effect_that_nobody_claims_is_not_performed(opened: Opener) -> None:
    async with opened() as shop:
        client, queue = shop.runtime.client, shop.runtime.settings.task_queue
        start = {**START, "call": {**CALL, "task_queue": queue}}
        handle = await client.start_workflow("Effect", start, id=f"effect-{uuid.uuid4()}", task_queue=queue)
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(handle.result(), 20)


async def test_nobody_has_it_performed_again_by_hand(opened: Opener) -> None:
    async with opened(toml="") as shop:
        run = await shop.start(("lost", {"order": "A1"}))
        await asyncio.wait_for(run.result(), PATIENCE)
        effect = await shop.effect(run)
        forged = {**CALL, "workflow_id": run.id, "run_id": run.result_run_id, "task_queue": "q"}
        forged["task_queue"] = shop.runtime.settings.task_queue
        answer = await asyncio.wait_for(effect.execute_update("claim", {"call": forged, "again": 1}), PATIENCE)
        assert answer["result"]["status"] == "denied"
        result = await asyncio.wait_for((await shop.start(("lost", {"order": "A1"}))).result(), PATIENCE)
        assert result["stop_reason"] == "outcome_unknown"
        assert len(shop.lines()) == 1


@pytest.mark.soak
async def test_an_effect_takes_more_claims_than_one_link_of_a_chain_holds(opened: Opener) -> None:
    if os.environ.get("BACKSTAY_SOAK") != "1":
        pytest.skip("1,000 claims take some time")
    async with opened() as shop:
        run = await shop.start(("refund", {"order": "A1"}))
        results = await shop.results(run)
        effect = await shop.effect(run)
        latest = shop.runtime.client.get_workflow_handle(effect.id)
        room = asyncio.Semaphore(4)

        async def claim(number: int) -> None:
            async with room:
                answer = await latest.execute_update("claim", {"call": {**CALL, "call_id": f"9-{number}"}})
                assert answer["result"]["text"] == results[0]

        await asyncio.gather(*(claim(number) for number in range(1_050)))
        assert await shop.run(("refund", {"order": "A1"})) == results
        described = await latest.describe()
        assert described.status is WorkflowExecutionStatus.RUNNING
        assert described.run_id != (await effect.describe()).run_id or effect.run_id is None
