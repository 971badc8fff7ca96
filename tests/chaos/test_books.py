"""Whatever the provider, the tools and the workers do: no bill exceeds what was settled, and no spend its budget.

BACKSTAY_SEED plays a seed again, and BACKSTAY_SOAK_RUNS is how many runs a soak has.
"""

import asyncio
import contextlib
import json
import os
import random
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from backstay.adapters.engine.dev_server import DevServer
from backstay.contracts.names import AGENT_RUN
from backstay.contracts.run import RunResult
from backstay.kernel.money import format_usd, parse_usd
from backstay.testing import Call, ScriptedModel

from .booked_tools import NAMES, TOOLS, effects_in
from .provider import PRICE, Account, Provider
from .run_books import Ended, audit_of, result_of, wrongs
from .worker_process import SOAK, Worker, worker_environment, working

RUNS = int(os.environ.get("BACKSTAY_SOAK_RUNS", "300")) if SOAK else 10
AT_ONCE = 60 if SOAK else RUNS
KILLS = 1_000 if SOAK else 2
SEED = os.environ.get("BACKSTAY_SEED") or (uuid.uuid4().hex[:8] if SOAK else "books")

BUDGET = '[budget]\nsteps = 20\ntool_calls = 60\ntokens = 200_000\nusd = "2"\nseconds = 600\n'
STOP = "[stop]\nfailures = 8\nmalformed = 6\n"
AGENTS = {
    "frank": f"[model]\nmax_output_tokens = 300\n{BUDGET}{STOP}",
    "terse": f'[model]\nmax_output_tokens = 160\napi = "chat"\n{BUDGET}conclude_at = 60\n{STOP}',
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


async def dies_now_and_then(worker: Worker, dice: random.Random, over: asyncio.Event) -> None:
    """Kills a worker at random moments and starts it anew, as often as this score allows, until all is over."""
    while worker.kills < KILLS:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), dice.uniform(9, 20) if worker.kills else dice.uniform(3, 5))
            return
        await worker.dies()


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
            result = await result_of(handle, SEED)
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
                group.create_task(dies_now_and_then(worker, dice, over))
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
