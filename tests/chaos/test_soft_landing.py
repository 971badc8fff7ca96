"""Every rung of the soft landing while workers are killed: the run ends as the rung says, with an answer, in budget.

BACKSTAY_SEED plays a seed again.
"""

import asyncio
import json
import os
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from backstay.adapters.engine.dev_server import DevServer
from backstay.contracts.names import AGENT_RUN
from backstay.kernel.price import Usage as BilledUsage
from backstay.testing import Call, Failure, Reply, Request, ScriptedModel, Usage
from backstay.testing.model.script import Answer

from .booked_tools import TOOLS, effects_in
from .provider import Account, Rates, Tokenizer
from .run_books import Ended, audit_of, result_of, wrongs
from .worker_process import SOAK, Worker, worker_environment, working

KILLS = 2 if SOAK else 1
GIVEN = os.environ.get("BACKSTAY_SEED")
SEEDS = [GIVEN] if GIVEN else [uuid.uuid4().hex[:8] for _ in range(12)] if SOAK else ["landing"]
PATIENCE = 150.0
REQUESTS = 50
"""The most requests before a worker is killed again."""

RATES = {"dear": Rates(10, 10, 40), "cheap": Rates(2, 2, 8), "gone": Rates(10, 10, 40), "other": Rates(5, 5, 20)}
LIMITS = 'steps = 40\ntool_calls = 60\ntokens = 200_000\nusd = "2"\n'
PEOPLE = '[approval]\nbudget = "finance"\ngroups = { finance = ["olga"] }\n'
NEARLY_SPENT = "the budget is nearly spent"
Run = WorkflowHandle[Any, Any]


def priced(model: str) -> str:
    """The price of a model, as an agent's file has it."""
    return f'{{ input = "{RATES[model].input}", output = "{RATES[model].output}" }}'


def named(model: str) -> str:
    """A further model with its price, as an agent's file names it."""
    return f'{{ name = "{model}", price = {priced(model)} }}'


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung: the agent that has it, the budgets of which one ends a run, how people act, and how the run ends.

    Attributes:
        budgets: the limit that a run meets, by the dimension that it is to end with.
        events: the events in the audit that show the rung, and how often each stands there.
        budget: what the agent's file says of the rung under `[budget]`.
        models: the same under `[model]`.
        first: the model that is asked first.
        obeys: whether the model answers once it is told that the budget is nearly spent.
        people: what people do meanwhile.
        added: the steps that they add to the budget.
    """

    budgets: Mapping[str, Mapping[str, Any]]
    events: Mapping[str, int]
    budget: str = ""
    models: str = ""
    first: str = "dear"
    obeys: bool = False
    people: Callable[[Run], Any] | None = None
    added: int = 0

    @property
    def toml(self) -> str:
        """The agent's file."""
        model = f'[model]\nname = "{self.first}"\nprice = {priced(self.first)}\nmax_output_tokens = 150\n{self.models}'
        return f"{model}[budget]\n{LIMITS}{self.budget}{PEOPLE}"


async def answers(run: Run) -> None:
    """Says yes to the first question for more budget, and no to the second."""
    for answer in ("approve", "deny"):
        asked = await pending(run)
        while not asked:
            await asyncio.sleep(0.2)
            asked = await pending(run)
        vote = {"approval_id": asked[0]["approval_id"], "by": "olga"}
        await run.signal(answer, vote)
        while await pending(run) == asked:
            await asyncio.sleep(0.2)


async def pending(run: Run) -> list[dict[str, Any]]:
    """The open questions, as the memo has them, which needs no worker."""
    try:
        return list(await (await run.describe()).memo_value("backstay.approvals", []))
    except RPCError:
        return []


async def grants(run: Run) -> None:
    """Grants three more steps while the run is under way."""
    await run.signal("grant", {"by": "olga", "reason": "go on", "budget": {"steps": 3}})


STEPS = {"steps": {"steps": 5}}
RUNGS = {
    "told": Rung(
        {"steps": {"steps": 10}, "usd": {"usd": "0.3"}},
        {"concluding": 1},
        budget="conclude_at = 50\nwrap_up = false\n",
        obeys=True,
    ),
    "cheaper": Rung(
        {"usd": {"usd": "0.25"}, "steps": {"steps": 8}},
        {"concluding": 1, "model_changed": 1, "wraps_up": 1},
        budget="conclude_at = 50\n",
        models=f"near_limit = {named('cheap')}\n",
    ),
    "fallback": Rung(
        STEPS, {"model_changed": 1, "wraps_up": 1}, models=f"fallback = [{named('other')}]\n", first="gone"
    ),
    "last": Rung(
        {
            "steps": {"steps": 4},
            "model_calls": {"model_calls": 8},
            "tokens": {"tokens": 9_000},
            "usd": {"usd": "0.2"},
            "tool_calls": {"tool_calls": 3},
            "tool:store": {"tools": {"store": {"calls": 2}}},
        },
        {"wraps_up": 1},
    ),
    "asks": Rung(STEPS, {"granted": 1, "wraps_up": 1}, budget='on_exhausted = "ask"\n', people=answers, added=3),
    "granted": Rung(STEPS, {"granted": 1, "wraps_up": 1}, people=grants, added=3),
}


@dataclass(slots=True)
class Landing:
    """A provider that bills whatever it begins to serve, also where nobody is there any more to read it.

    Its model calls tools as long as it may. `models` are those that each run asked, in turn.
    """

    seed: str
    dice: dict[str, random.Random] = field(default_factory=dict[str, random.Random])
    tokenizers: dict[str, Tokenizer] = field(default_factory=dict[str, Tokenizer])
    accounts: dict[str, Account] = field(default_factory=dict[str, Account])
    models: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @property
    def asked(self) -> int:
        return sum(len(one.asked) for one in self.accounts.values())

    def turn(self, request: Request) -> Answer:
        """Serves one request of the run that its goal names."""
        run, model = request.goal.partition(">")[0] + ">", str(request.body["model"])
        dice = self.dice.setdefault(run, random.Random(f"{self.seed} {run}"))
        tokenizer = self.tokenizers.setdefault(run, Tokenizer(dice))
        account = self.accounts.setdefault(run, Account())
        self.models.setdefault(run, []).append(model)
        read = tokenizer.request(request.body)
        account.asked.append((request.headers.get("Idempotency-Key", "").rpartition("/")[2], read))
        if model == "gone" and len(account.asked) > 2:
            return Failure(404)
        reply = self._said(request, run, dice)
        size = tokenizer.reply(reply.text, list(reply.calls))
        written = dice.randint(size, max(size, int(str(request.body["max_output_tokens"]))))
        account.bill(BilledUsage(read, written), RATES[model])
        return replace(reply, usage=Usage(read, written, 0, written - size), delay=dice.uniform(0, 0.2))

    def _said(self, request: Request, run: str, dice: random.Random) -> Reply:
        told = RUNGS[run.split()[1]].obeys and NEARLY_SPENT in request.raw.decode()
        if told or not request.body.get("tools"):
            return Reply("stored some; the rest is open")
        number = dice.randrange(1_000)
        return Reply(calls=[Call("store", {"n": number, "sleep": round(dice.uniform(0, 0.1), 2)})])


def strays(name: str, dimension: str, run: Ended, models: list[str]) -> list[str]:
    """Returns where a run differs from its rung, in words."""
    rung, result, found = RUNGS[name], run.result, list[str]()
    counts = {event: sum(record["event"] == event for record in run.audit) for event in rung.events}
    wanted = ("completed", None) if rung.obeys else ("budget_exhausted", dimension)
    settled = [record["facts"] for record in run.audit if record["event"] == "decision_settled"]
    if (result.stop_reason, result.stop_detail) != wanted:
        found.append(f"ended as {result.stop_reason} {result.stop_detail}")
    if counts != dict(rung.events):
        found.append(f"the audit tells {counts}")
    if dimension == "steps" and not rung.obeys and result.steps != rung.budgets["steps"]["steps"] + rung.added:
        found.append(f"{result.steps} steps were made")
    # What was held back is one attempt: where its worker dies the provider may have been paid for it.
    if not result.answer and not settled[-1]["lost_attempts"]:
        found.append("no answer")
    if models != sorted(models, key=list(RATES).index):
        found.append(f"a model was asked again after another: {models}")
    return found


async def dies_now_and_then(worker: Worker, provider: Landing, dice: random.Random) -> None:
    """Kills a worker at random moments, a few requests after it began to serve, and starts it anew."""
    while worker.kills < KILLS:
        until = provider.asked + dice.randint(1, REQUESTS)
        while provider.asked < until:
            await asyncio.sleep(0.01)
        await asyncio.sleep(dice.uniform(0, 0.3))
        await worker.dies()


@pytest.mark.soak
@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", SEEDS)
async def test_every_rung_ends_as_it_says_with_an_answer_and_within_its_budget_while_workers_die(
    client: Client, temporal_server: DevServer, agent_folder: Callable[..., Path], tmp_path: Path, seed: str
) -> None:
    queue, dice, provider = f"landing-{uuid.uuid4()}", random.Random(seed), Landing(seed)
    plan = [(name, one) for name, rung in RUNGS.items() for one in rung.budgets]
    agents = {agent_folder(name, rung.toml, TOOLS) for name, rung in RUNGS.items()}.pop()
    books = tmp_path / "books"
    books.mkdir()

    async def run(number: int, name: str, dimension: str) -> Ended:
        goal, budget = f"<{number} {name} >", RUNGS[name].budgets[dimension]
        request = {"goal": goal, "agent": name, "budget": budget, "requested_by": "rita"}
        handle = await client.start_workflow(AGENT_RUN, request, id=f"{queue}-{number}", task_queue=queue)
        people = RUNGS[name].people
        if people is not None:
            await people(handle)
        result = await result_of(handle, seed)
        pending = (await handle.describe()).raw_description.pending_activities
        return Ended(result, [one.activity_id for one in pending])

    async def audited(run: Ended) -> Ended:
        return replace(run, audit=await audit_of(client.get_workflow_handle(run.result.run_id)))

    async with ScriptedModel(default=provider.turn) as model:
        environment = worker_environment(agents, queue, model, temporal_server.address) | {"BOOKS": str(books)}
        async with working(environment, tmp_path / "worker.log") as worker, asyncio.timeout(PATIENCE):
            dying = asyncio.create_task(dies_now_and_then(worker, provider, dice))
            runs = await asyncio.gather(*(run(number, *one) for number, one in enumerate(plan)))
            dying.cancel()
            runs = await asyncio.gather(*(audited(one) for one in runs))

    failed: dict[str, list[str]] = {}
    for number, ((name, dimension), one) in enumerate(zip(plan, runs, strict=True)):
        goal = f"<{number} {name} >"
        found = wrongs(one, provider.accounts[goal], effects_in(books / one.result.run_id))
        if found := [*found, *strays(name, dimension, one, provider.models[goal])]:
            failed[f"{goal} {dimension}"] = found
    print(f"seed {seed}: {len(runs)} runs, {provider.asked} requests, {worker.kills} kills")
    assert not failed, f"seed {seed}: {json.dumps(failed, indent=1)}"
    assert worker.kills
