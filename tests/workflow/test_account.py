"""Runs of a provider's account: their model calls wait in one queue, and everything else is as it was."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes
from temporalio.client import Client, WorkflowHandle

from backstay.adapters.engine.dev_server import DevServer, dev_server
from backstay.adapters.engine.rates import put_rate, queue_rate
from backstay.adapters.engine.turns import Turns
from backstay.app.application import application
from backstay.client.connection import connect
from backstay.client.quotas import rates, set_quota
from backstay.contracts.quota import SetQuota
from backstay.contracts.run import RunResult
from backstay.errors import ConfigurationError
from backstay.settings import Settings
from backstay.testing import Attempts, Failure, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

Handle = WorkflowHandle[Any, Any]
Folder = Callable[..., Path]


@pytest.fixture
def account() -> str:
    return f"main-{uuid.uuid4().hex[:8]}"


async def scheduled(handle: Handle, name: str) -> list[ActivityTaskScheduledEventAttributes]:
    """The activities of a name that a run asked for."""
    kind = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    events = (await handle.fetch_history()).events
    found = [event.activity_task_scheduled_event_attributes for event in events if event.event_type == kind]
    return [one for one in found if one.activity_type.name == name]


async def test_a_model_call_of_an_account_goes_over_its_queue_with_the_tenant_as_its_key(
    client: Client, agent_folder: Folder, account: str
) -> None:
    agents = agent_folder(toml=f'[model]\naccount = "{account}"\n')
    async with local_runtime([Reply("done")], agents=agents, client=client) as runtime:
        handle = await runtime.start({"goal": "x", "agent": "clerk", "tenant": "acme"})
        assert (await handle.result())["status"] == "completed"
        [decide] = await scheduled(handle, "decide")
        assert (decide.task_queue.name, decide.priority.fairness_key) == (f"model-{account}", "acme")
        [admit] = await scheduled(handle, "admit")
        assert (admit.task_queue.name, admit.priority.fairness_key) == (runtime.settings.task_queue, "acme")


async def test_a_run_without_an_account_stays_on_its_own_queue(client: Client, agent_folder: Folder) -> None:
    async with local_runtime([Reply("done")], agents=agent_folder(), client=client) as runtime:
        handle = await runtime.start({"goal": "x", "agent": "clerk", "tenant": "acme"})
        await handle.result()
        [decide] = await scheduled(handle, "decide")
        assert (decide.task_queue.name, decide.priority.fairness_key) == (runtime.settings.task_queue, "acme")


async def test_two_workers_that_share_a_client_serve_the_same_account(
    client: Client, agent_folder: Folder, account: str
) -> None:
    agents = agent_folder(toml=f'[model]\naccount = "{account}"\n')
    async with local_runtime([Reply("done")], agents=agents, client=client) as one:
        async with local_runtime([Reply("done")], agents=agents, client=client) as other:
            assert one.settings.task_queue != other.settings.task_queue
        handle = await one.start({"goal": "x", "agent": "clerk"})
        assert (await handle.result())["status"] == "completed"


async def test_the_wait_for_a_turn_is_no_failed_attempt(client: Client, agent_folder: Folder, account: str) -> None:
    agents = agent_folder(toml=f'[model]\naccount = "{account}"\ngive_up_after = "1s"\n')
    async with local_runtime([Reply("done")], agents=agents, client=client, worker=False) as runtime:
        handle = await runtime.start({"goal": "x", "agent": "clerk"})
        await put_rate(client, account, 30_000, "one in two seconds")
        others = [await runtime.start({"goal": "x", "agent": "clerk"}) for _ in range(6)]
        async with runtime.serving():
            await asyncio.sleep(3)
            assert len(runtime.model.requests) < 5
            await put_rate(client, account, None, "")
            results = [await one.result() for one in (handle, *others)]
        assert {result["status"] for result in results} == {"completed"}


async def test_a_model_that_refuses_for_longer_than_the_run_waits_is_given_up(
    client: Client, agent_folder: Folder, account: str
) -> None:
    agents = agent_folder(toml=f'[model]\naccount = "{account}"\ngive_up_after = "2s"\n')
    script = [Attempts(*(Failure(429, retry_after=0.3) for _ in range(30)))]
    async with local_runtime(script, agents=agents, client=client) as runtime:
        handle = await runtime.start({"goal": "x", "agent": "clerk"})
        with pytest.raises(Exception, match="Workflow execution failed"):
            await asyncio.wait_for(handle.result(), 30)
        status = await handle.query("status")
        assert status["stop_reason"] == "model_unavailable"
        [rate] = await rates(client, account)
        assert (rate.in_force, rate.why) == (
            None,
            "no limit, found on the server; the provider refuses calls with HTTP 429",
        )


async def test_a_refusal_for_want_of_money_lowers_no_rate(client: Client, agent_folder: Folder, account: str) -> None:
    agents = agent_folder(toml=f'[model]\naccount = "{account}"\n')
    script = [Failure(429, code="insufficient_quota")]
    async with local_runtime(script, agents=agents, client=client) as runtime:
        await set_quota(client, account, SetQuota(rate=600_000, by="alice"))
        handle = await runtime.start({"goal": "x", "agent": "clerk"})
        with pytest.raises(Exception, match="Workflow execution failed"):
            await handle.result()
        [rate] = await rates(client, account)
        assert (rate.configured, rate.in_force, rate.lowered) == (600_000, 600_000, False)


async def test_a_rate_outlives_the_workers(client: Client, agent_folder: Folder, account: str) -> None:
    agents = agent_folder(toml=f'[model]\naccount = "{account}"\n')
    await set_quota(client, account, SetQuota(rate=123_000, by="alice"))
    async with local_runtime([Reply("done")], agents=agents, client=client) as runtime:
        assert (await runtime.run_to_end({"goal": "x", "agent": "clerk"})).status == "completed"
    assert (await queue_rate(client, account)).paced.rate == 123_000


async def taken(turns: Turns, account: str, many: int) -> list[float]:
    """Returns the turns of calls that come together, in seconds."""
    begun = time.monotonic()

    async def one() -> float:
        await turns.take(account)
        return time.monotonic() - begun

    return sorted(await asyncio.gather(*(one() for _ in range(many))))


async def test_calls_that_a_queue_lets_through_together_go_out_one_after_the_other(
    client: Client, account: str
) -> None:
    await put_rate(client, account, 300_000, "five a second")
    first, *_, last = await taken(Turns(client), account, 6)
    assert 0.95 <= last - first <= 2


async def test_without_a_rate_no_call_waits_for_another(client: Client, account: str) -> None:
    turns = Turns(client)
    first, *_, last = await taken(turns, account, 20)
    assert last - first < 0.5


async def test_no_call_waits_longer_than_its_attempt_lasts(
    client: Client, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backstay.adapters.engine.turns.LONGEST_SECONDS", 0.3)
    await put_rate(client, account, 1_000, "one a minute")
    turns = Turns(client)
    assert (await taken(turns, account, 5))[-1] < 3
    assert (await taken(turns, account, 5))[-1] < 3


async def test_a_rate_that_cannot_be_read_stays_as_it_was(client: Client, account: str) -> None:
    async with dev_server() as server:
        await put_rate(server.client, account, 300_000, "five a second")
        turns = Turns(server.client)
        await taken(turns, account, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backstay.adapters.engine.turns.READ_EVERY_SECONDS", 0.0)
        patch.setattr("backstay.adapters.engine.rates._PATIENCE", timedelta(seconds=0.2))
        first, *_, last = await taken(turns, account, 2)
    assert last - first >= 0.15


@pytest.fixture
def fleets(tmp_path: Path, account: str) -> dict[str, Path]:
    """The agents of two fleets that share an account, each with its own."""
    found: dict[str, Path] = {}
    for name in ("sales", "support"):
        folder = tmp_path / name / "agents" / name
        folder.mkdir(parents=True)
        (folder / "agent.toml").write_text(f'instructions = "You are {name}."\n[model]\naccount = "{account}"\n')
        found[name] = folder.parent
    return found


@pytest.mark.parametrize("told", [True, False], ids=["told of each other", "strangers"])
async def test_fleets_with_queues_of_their_own_share_an_account(
    temporal_server: DevServer, fleets: dict[str, Path], told: bool
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        queues = {name: f"{name}-{uuid.uuid4()}" for name in fleets}
        runtimes: dict[str, LocalRuntime] = {}
        for name, agents in fleets.items():
            others = [queue for other, queue in queues.items() if other != name] if told else []
            running = local_runtime(
                [Reply(f"{name} says so")],
                agents=agents,
                client=await connect(target_host=temporal_server.address, namespace="default"),
                task_queue=queues[name],
                account_queues=others,
            )
            runtimes[name] = await stack.enter_async_context(running)
        handles = [
            await runtimes[name].start({"goal": f"{number}", "agent": name}) for name in fleets for number in range(8)
        ]
        results = [RunResult.model_validate(await asyncio.wait_for(handle.result(), 60)) for handle in handles]
        decisions = [len(await scheduled(handle, "decide")) for handle in handles]
    assert {result.status for result in results} == {"completed"}
    if told:
        assert decisions == [1] * 16
        assert {result.answer for result in results[:8]} == {"sales says so", "support says so"}
    else:
        assert [result.answer for result in results] == ["sales says so"] * 8 + ["support says so"] * 8


def test_agents_of_one_account_ask_one_server(agent_folder: Folder, account: str) -> None:
    agents = agent_folder(toml=f'[model]\naccount = "{account}"\nbase_url = "http://one.example/v1"\n')
    agent_folder("desk", toml=f'[model]\naccount = "{account}"\nbase_url = "http://two.example/v1"\n')
    with pytest.raises(ConfigurationError, match="with another server or key") as caught:
        application(Settings(agents=[agents]))
    assert (caught.value.where or "").endswith("agent.toml:3")


def test_an_account_has_another_queue_than_runs(agent_folder: Folder) -> None:
    agents = agent_folder(toml='[model]\naccount = "main"\nbase_url = "http://one.example/v1"\n')
    with pytest.raises(ConfigurationError, match="needs the task queue `model-main`, where runs are served") as caught:
        application(Settings(agents=[agents], task_queue="model-main"))
    assert (caught.value.where or "").endswith("agent.toml:3")
