"""Whatever the provider, the tools and the workers do: no bill exceeds what was settled, and no spend its budget.

BACKSTAY_SEED plays a seed again, and BACKSTAY_SOAK_RUNS is how many runs a soak has.
"""

import asyncio
import contextlib
import json
import os
import random
import sys
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from backstay.adapters.engine.dev_server import DevServer
from backstay.contracts.names import AGENT_RUN
from backstay.contracts.run import RunResult
from backstay.kernel.money import format_usd, parse_usd
from backstay.testing import Call, ScriptedModel

from .provider import PRICE, Account, Provider
from .run_books import Effect, Ended, wrongs
from .worker_process import ROOT, SOAK, worker_environment

RUNS = int(os.environ.get("BACKSTAY_SOAK_RUNS", "300")) if SOAK else 20
AT_ONCE = 60 if SOAK else RUNS
KILLS = 1_000 if SOAK else 2
SEED = os.environ.get("BACKSTAY_SEED") or (uuid.uuid4().hex[:8] if SOAK else "books")

TOOLS = '''
import asyncio
import json
import os
from pathlib import Path
from backstay.tools import NOT_HAPPENED, Happened, ToolCall, tool

BOOKS = Path(os.environ["BOOKS"])

def book(call: ToolCall, name: str, once: bool, usd: int) -> None:
    line = json.dumps({"tool": name, "key": call.idempotency_key, "once": once, "usd": usd}) + "\\n"
    descriptor = os.open(BOOKS / call.run_id, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)

def booked(call: ToolCall, n: int, sleep: float, fails: bool = False):
    file = BOOKS / call.run_id
    keys = [json.loads(line)["key"] for line in file.read_text().splitlines()] if file.exists() else []
    return Happened(f"sent {n}") if call.idempotency_key in keys else NOT_HAPPENED

async def effect(
    call: ToolCall, name: str, n: int, sleep: float, fails: bool, *, once: bool = False, usd: int = 0
) -> str:
    await asyncio.sleep(sleep / 2)
    book(call, name, once, usd)
    await asyncio.sleep(sleep / 2)
    if fails:
        raise ValueError(f"no {n}")
    return f"{name} {n}"

@tool(effect="read")
async def look(call: ToolCall, n: int, sleep: float, fails: bool = False) -> str:
    """Looks something up."""
    return await effect(call, "look", n, sleep, fails)

@tool(effect="write", cost="0.004")
async def store(call: ToolCall, n: int, sleep: float, fails: bool = False) -> str:
    """Stores something, for money."""
    if n % 2:
        call.report_cost("0.0015")
    return await effect(call, "store", n, sleep, fails, usd=1_500 if n % 2 else 4_000)

@tool(effect="once", reconcile=booked)
async def send(call: ToolCall, n: int, sleep: float, fails: bool = False) -> str:
    """Sends something, and keeps a list of what it sent."""
    return await effect(call, "send", n, sleep, fails, once=True)

@tool(effect="once", timeout="2s")
async def call_out(call: ToolCall, n: int, sleep: float, fails: bool = False) -> str:
    """Does what nobody can look up."""
    return await effect(call, "call_out", n, sleep, fails, once=True)
'''
NAMES = ("look", "look", "store", "store", "send", "call_out")
BUDGET = '[budget]\nsteps = 20\ntool_calls = 60\ntokens = 200_000\nusd = "2"\nseconds = 600\n'
STOP = "[stop]\nfailures = 8\nmalformed = 6\n"
AGENTS = {
    "frank": f"[model]\nmax_output_tokens = 300\n{BUDGET}{STOP}",
    "terse": f'[model]\nmax_output_tokens = 160\napi = "chat"\n{BUDGET}{STOP}conclude_at = "60%"\n',
}


def a_call(dice: random.Random) -> Call:
    """A call that the model may propose."""
    sleep = dice.choice([0, 0, round(dice.uniform(0, 1), 2)])
    return Call(dice.choice(NAMES), {"n": dice.randrange(10_000), "sleep": sleep, "fails": dice.random() < 0.15})


def a_budget(dice: random.Random) -> dict[str, Any]:
    """A small budget; most runs meet one of its ends."""
    drawn: dict[str, tuple[float, Any]] = {
        "steps": (0.3, dice.randint(1, 15)),
        "model_calls": (0.3, dice.randint(1, 25)),
        "tool_calls": (0.3, dice.randint(0, 40)),
        "tokens": (0.4, dice.randint(2_000, 50_000)),
        "usd": (0.5, format_usd(dice.randint(10_000, 600_000))),
        "seconds": (0.3, dice.randint(5, 60)),
    }
    budget = {name: limit for name, (share, limit) in drawn.items() if dice.random() < share}
    if dice.random() < 0.4:
        budget["tools"] = {dice.choice(NAMES): {dice.choice(["calls", "per_minute"]): dice.randint(0, 5)}}
    return budget


@dataclass(slots=True)
class Worker:
    """A worker process that can be killed, and started anew."""

    environment: dict[str, str]
    log: Path
    kills: int = 0
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "worker.py", cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )

    async def kill(self) -> None:
        """Ends it by SIGKILL; one that has ended by itself is a fault of its own."""
        assert self.process is not None
        assert self.process.returncode is None, self.log.read_text()[-2_000:]
        self.process.kill()
        await self.process.wait()

    async def dies_now_and_then(self, dice: random.Random, over: asyncio.Event) -> None:
        """Kills it at random moments and starts it anew, as often as this score allows, until all is over."""
        while self.kills < KILLS:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), dice.uniform(9, 20) if self.kills else dice.uniform(3, 5))
                return
            await self.kill()
            self.kills += 1
            await self.start()


@contextlib.asynccontextmanager
async def working(environment: dict[str, str], log: Path) -> AsyncGenerator[Worker]:
    worker = Worker(environment, log)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.kill()


async def result_of(handle: WorkflowHandle[Any, Any]) -> RunResult:
    """The end of a run, which is a RunResult whatever happened."""
    try:
        given = await handle.result()
    except WorkflowFailureError as error:
        if not isinstance(error.cause, ApplicationError) or not error.cause.details:
            error.add_note(f"{handle.id}, seed {SEED}: {(await handle.fetch_history()).to_json()}")
            raise
        given = error.cause.details[0]
    return RunResult.model_validate(given)


async def audit_of(handle: WorkflowHandle[Any, Any]) -> list[dict[str, Any]]:
    """The whole audit; asked again where the worker that remembered the run has died."""
    audit: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        try:
            page = await handle.query("audit", {"after": after})
        except RPCError as error:
            if "timed out" not in str(error):
                raise
            continue
        audit, after = audit + page["items"], page["next"]
    return audit


def effects_in(file: Path) -> list[Effect]:
    """What the tools wrote down for a run."""
    return [Effect(**json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.soak
@pytest.mark.timeout(3600 if SOAK else 240)
async def test_no_bill_exceeds_what_was_settled_and_no_spend_its_budget(
    client: Client, temporal_server: DevServer, agent_folder: Callable[..., Path], tmp_path: Path
) -> None:
    print(f"seed {SEED}")
    queue, dice = f"books-{uuid.uuid4()}", random.Random(SEED)
    agents = {agent_folder(name, toml, TOOLS) for name, toml in AGENTS.items()}.pop()
    books = tmp_path / "books"
    books.mkdir()
    provider = Provider(SEED, a_call)
    budgets = [a_budget(dice) for _ in range(RUNS)]
    room = asyncio.Semaphore(AT_ONCE)

    async def run(number: int) -> Ended:
        own = random.Random(f"{SEED} {number}")
        request = {"goal": f"<{number}>", "agent": own.choice(list(AGENTS)), "budget": budgets[number]}
        async with room:
            handle = await client.start_workflow(AGENT_RUN, request, id=f"{queue}-{number}", task_queue=queue)
            if own.random() < 0.1:
                await asyncio.sleep(own.uniform(2, 8))
                with contextlib.suppress(RPCError):
                    await handle.signal("kill", {"by": "olga", "reason": "enough"})
            result = await result_of(handle)
            pending = (await handle.describe()).raw_description.pending_activities
            return Ended(result, [activity.activity_id for activity in pending])

    async def audited(run: Ended) -> Ended:
        async with room:
            return replace(run, audit=await audit_of(client.get_workflow_handle(run.result.run_id)))

    async with ScriptedModel(default=provider.turn) as model:
        environment = worker_environment(agents, queue, model, temporal_server.address)
        environment |= {"BACKSTAY_MODEL": "a-model-of-ours", "BACKSTAY_MODEL_PRICE": PRICE, "BOOKS": str(books)}
        async with working(environment, tmp_path / "worker.log") as worker:
            over = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(worker.dies_now_and_then(dice, over))
                runs = await asyncio.gather(*(run(number) for number in range(RUNS)))
                over.set()
            runs = await asyncio.gather(*(audited(one) for one in runs))

    failed: dict[str, list[str]] = {}
    for number, one in enumerate(runs):
        account = provider.accounts.get(f"<{number}>", Account())
        if found := wrongs(one, account, effects_in(books / one.result.run_id)):
            failed[f"<{number}> {one.result.stop_reason} {one.result.stop_detail}"] = found
    print(summary([one.result for one in runs], provider, worker.kills))
    assert not failed, f"seed {SEED}: {json.dumps(failed, indent=1)}"
    assert worker.kills


def summary(results: Sequence[RunResult], provider: Provider, kills: int) -> str:
    """One line for people."""
    accounts = provider.accounts.values()
    reasons = Counter(result.stop_reason for result in results)
    settled = sum(parse_usd(result.spent.usd) for result in results)
    return (
        f"seed {SEED}: {len(results)} runs, {sum(len(one.asked) for one in accounts)} requests, "
        f"${format_usd(sum(one.usd for one in accounts))} billed, ${format_usd(settled)} settled, {kills} kills; "
        + ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    )
