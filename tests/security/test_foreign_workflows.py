"""Activities that somebody else's workflow schedules on a worker's queue do, spend and tell nothing."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

TOOLS = '''
from pathlib import Path
from backstay.tools import tool

@tool(effect="once")
def pay(amount: int) -> str:
    """Pays an amount."""
    with Path(__file__).with_name("paid.txt").open("a") as file:
        file.write(f"{amount}\\n")
    return "paid"

@tool(effect="once", dedupe="tenant")
def pay_once(amount: int) -> str:
    """Pays an amount once for a tenant: with such a tool, a worker serves the queue of shared effects too."""
    return "paid"
'''
CONSENT = {"approved_by": ["alice"], "editors": []}
FACTS = {"step": 1, "spent_usd": 0, "tool_calls": 0, "tool_calls_60s": {}, "taint": []}
APPROVAL = {
    "approval_id": "apr_1", "kind": "action", "tool": "pay", "args": {"amount": 1}, "digest": "sha256:d",
    "groups": ["finance"], "required": 1, "answered_by": [], "rules": [], "reasons": [],
    "requested_at": "2026-01-01T00:00:00.000Z", "expires_at": "2026-01-02T00:00:00.000Z",
}  # fmt: skip
CALL = {"call_id": "1-0", "tool": "pay", "arguments": '{"amount": 9000}'}
ACT = {
    "run_key": "0" * 32, "step": 1, "decision": "0" * 16, "call_id": "1-0", "tool": "pay", "digest": "sha256:d",
    "content": "0" * 16, "facts": FACTS, "now": 1, "consent": CONSENT, "arguments": '{"amount": 9000}',
}  # fmt: skip


def asked(name: str, itself: dict[str, str]) -> dict[str, Any]:
    """The input that an attacker gives the activity of that name, made to look like that of a run."""
    return {
        "decide": {"step": 1, "run_key": "0" * 32, "max_output_tokens": 50, "attempts": 1},
        "authorize": {
            "run_id": itself["workflow_id"], "run_key": "0" * 32, "agent": "desk", "tenant": "default",
            "requested_by": None, "goal": "pay", "facts": FACTS, "now": 1, "calls": [CALL],
            "consents": {"1-0": CONSENT}, "tools": {},
        },
        "act": ACT,
        "reconcile": ACT,
        "notify": {
            "event": "opened", "run_id": itself["workflow_id"], "agent": "desk", "tenant": "default",
            "approval": APPROVAL,
        },
        "reserve": {
            "name": "reserve-0", "holder": "0" * 32, "tenant": "victim", "agent": "desk", "amounts": {"usd": 10**9},
        },
        "meter": {"question": {
            "run_id": itself["workflow_id"], "run_key": "0" * 32, "agent": "desk", "tenant": "victim",
            "requested_by": None, "goal": "pay", "facts": FACTS, "now": 1, "calls": [CALL], "tools": {},
        }},
        "archive": {
            "start": {"records": 0, "head": "sha256:0"}, "head": {"records": 0, "head": "sha256:0"},
            "items_start": 0, "items": 0,
        },
        "perform": {"call": {**itself, "call_id": "1-0", "task_queue": "q"}, "key": "key", "again": 0},
    }[name.partition("@")[0]]  # fmt: skip


class Attack:
    """A workflow of the attacker's own: admits itself, then asks for one activity after the other."""

    async def go(self, queue: str, names: list[str]) -> dict[str, str]:
        """Returns the type of failure of each activity; `done` for one that was carried out."""
        info = workflow.info()
        itself = {"workflow_id": info.workflow_id, "run_id": info.run_id}
        await self._ask("admit", queue, {"agent": "desk"})
        return {name: await self._ask(name, queue, asked(name, itself)) for name in names}

    async def _ask(self, asked_for: str, queue: str, given: dict[str, Any]) -> str:
        name, _, other = asked_for.partition("@")
        try:
            await workflow.execute_activity(
                name,
                given,
                activity_id={"decide": "decide-1", "act": "act-1-0"}.get(name, name),
                task_queue=other or (f"{queue}-effects" if name == "perform" else queue),
                start_to_close_timeout=timedelta(seconds=10),
                schedule_to_start_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        except ActivityError as error:
            return f"{error.cause.type}: {error.cause.message}" if isinstance(error.cause, ApplicationError) else "lost"
        return "done"


@workflow.defn(name="AgentRun")
class Impostor(Attack):
    """The attacker's workflow under the name of ours, with the input of a run."""

    @workflow.run
    async def run(self, request: dict[str, Any]) -> dict[str, str]:
        return await self.go(request["metadata"]["queue"], request["metadata"]["names"].split())


@workflow.defn(name="Stranger")
class Stranger(Attack):
    """The attacker's workflow under a name of its own."""

    @workflow.run
    async def run(self, request: dict[str, Any]) -> dict[str, str]:
        return await self.go(request["metadata"]["queue"], request["metadata"]["names"].split())


EVERYTHING = "decide authorize act reconcile notify reserve meter archive perform"


async def attacked(runtime: LocalRuntime, kind: type[Attack], name: str, wanted: str = EVERYTHING) -> dict[str, str]:
    """Returns what an attacker gets from each activity, on a worker of the attacker's own."""
    own = f"mallory-{uuid.uuid4()}"
    request = {
        "goal": "pay",
        "agent": "desk",
        "metadata": {"queue": runtime.settings.task_queue, "names": wanted},
    }
    async with Worker(runtime.client, task_queue=own, workflows=[kind], workflow_runner=UnsandboxedWorkflowRunner()):
        return await runtime.client.execute_workflow(name, request, id=own, task_queue=own, result_type=dict[str, str])


@pytest.mark.parametrize(("kind", "name"), [(Impostor, "AgentRun"), (Stranger, "Stranger")])
async def test_a_workflow_of_another_queue_gets_nothing_done(
    client: Client, agent_folder: Callable[..., Path], kind: type[Attack], name: str
) -> None:
    agents = agent_folder(
        "desk", "[approval]\ngroups = { finance = ['alice'] }\nrequire = { pay = 'finance' }\n", TOOLS
    )
    async with local_runtime([Reply(calls=[Call("pay", {"amount": 9_000})])], agents=agents, client=client) as runtime:
        got = await attacked(runtime, kind, name)
        assert got.pop("decide").endswith("failed before anything was sent: ApplicationError")
        assert {activity: said for activity, said in got.items() if "ForeignRun" not in said} == {}
        assert runtime.model.requests == []
        assert not (agents / "desk" / "paid.txt").exists()


@pytest.mark.parametrize(("kind", "name"), [(Impostor, "AgentRun"), (Stranger, "Stranger")])
async def test_the_queue_of_an_account_answers_no_workflow_of_another_queue(
    client: Client, agent_folder: Callable[..., Path], kind: type[Attack], name: str
) -> None:
    account = f"main-{uuid.uuid4().hex[:8]}"
    agents = agent_folder("desk", f'[model]\naccount = "{account}"\n', TOOLS)
    async with local_runtime([Reply("mine")], agents=agents, client=client) as runtime:
        [said] = (await attacked(runtime, kind, name, f"decide@model-{account}")).values()
        assert said.startswith("Unserved: ")
        assert runtime.model.requests == []
