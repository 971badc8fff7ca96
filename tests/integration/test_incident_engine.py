"""`backstay incident stop --engine`: people and programs read which queues the engine holds, and which it cannot."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from backstay.adapters.engine.dev_server import dev_server
from backstay.checks.accounts import account_checks
from backstay.cli.views.incident import engine_lines
from backstay.client import control_plane
from backstay.client.health import server_checks
from backstay.client.quotas import rates, set_quota
from backstay.contracts.control import LiftOrder
from backstay.contracts.queue_hold import EngineHold, HeldQueue
from backstay.contracts.quota import SetQuota
from backstay.kernel.engine import CallKind
from backstay.testing import Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

from .commands import Command, command_of

QUEUE = "model-openai-main"


@pytest.fixture
async def runtime(agent_folder: Callable[..., Path]) -> AsyncGenerator[LocalRuntime]:
    agents = agent_folder(toml='[model]\naccount = "openai-main"\n')
    async with dev_server() as server, local_runtime([Reply("done")], agents=agents, client=server.client) as runtime:
        yield runtime


@pytest.fixture
def command(runtime: LocalRuntime) -> Command:
    [agents] = runtime.settings.agents or []
    return command_of(runtime, BACKSTAY_AGENTS=str(agents), OPENAI_BASE_URL=runtime.model.base_url, COLUMNS="200")


@pytest.mark.timeout(120)
async def test_a_queue_is_held_shown_everywhere_and_put_back(
    runtime: LocalRuntime, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    await set_quota(runtime.client, "openai-main", SetQuota(rate=475_000, by="olga"))
    stop = ("incident", "stop", "--scope", "all", "--freeze", "--engine", "--reason", "new image", "--id", "i1")
    code, out, err = await command(*stop, "--by", "olga", "-o", "json")
    assert code == 0
    runs = runtime.settings.task_queue
    told = json.loads(out)["engine"]
    assert told["held"] == [
        {"queue": QUEUE, "calls": "models", "rpm_before": 475.0, "reason_before": "475 rpm, set by olga"}
    ]
    assert {one["queue"] for one in told["not_held"]} == {runs}
    assert f"the engine holds {QUEUE}, model calls; after it: 475 per minute (475 rpm, set by olga)" in err
    assert f"the engine cannot hold {runs}: the runs' own queue carries" in err

    code, _, err = await command("quota", "set", "openai-main", "--rpm", "300", "--by", "bob")
    assert (code, err) == (
        0,
        "openai-main: 300 requests per minute once the stop is lifted. Until then no call is let through: held by the "
        "incident i1\n",
    )
    monkeypatch.setenv("TEMPORAL_ADDRESS", runtime.client.service_client.config.target_host)
    await shown(command, runtime)
    await control_plane.lift(runtime.client, LiftOrder(incident_id="i1", by="olga", reason="mended"))
    async with asyncio.timeout(30):
        while (rate := (await rates(runtime.client, "openai-main"))[0]).in_force != 300_000:
            await asyncio.sleep(0.1)
    assert (rate.why, rate.queue.hold) == ("300 rpm, set by bob", None)


async def shown(command: Command, runtime: LocalRuntime) -> None:
    """What else tells people and programs that the queue is held."""
    status, as_json, shown = await asyncio.gather(
        command("incident", "status"), command("incident", "status", "i1", "-o", "json"), quota(command)
    )
    assert f"i1: the engine holds {QUEUE}" in status[1] + status[2]
    [incident] = json.loads(as_json[1])["incidents"]
    assert [one["queue"] for one in incident["engine"]["held"]] == [QUEUE]
    checks = {check.name: check async for check in server_checks(runtime.settings)}
    assert f"the engine holds {QUEUE} for the incident i1" in checks["control plane"].detail
    account = await anext(account_checks(["openai-main"]))
    assert account.detail == "openai-main: no call is let through, held by the incident i1"
    assert shown["held_by"] == ["i1"]


async def quota(command: Command) -> dict[str, Any]:
    code, out, _ = await command("quota", "show", "-o", "json")
    assert code == 0
    [found] = json.loads(out)["accounts"]
    return found


def test_an_engine_that_holds_nothing_says_so_and_a_limit_has_its_reason() -> None:
    assert engine_lines(EngineHold()) == ["the engine holds nothing: no queue carries calls in scope that are closed"]
    held = HeldQueue(queue="agents-effects", kind=CallKind.TOOLS, rate=None, why="")
    assert engine_lines(EngineHold(held=[held])) == ["the engine holds agents-effects, tool calls; after it: no limit"]
