"""`backstay quota set` and `show`, and what `doctor` says of accounts: what people and programs read of rates."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from backstay.adapters.engine.dev_server import dev_server
from backstay.adapters.engine.fairness import shares_fairly
from backstay.cli import execute
from backstay.testing import Attempts, Failure, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

from .commands import Command, command_of


@pytest.fixture
async def runtime(agent_folder: Callable[..., Path]) -> AsyncGenerator[LocalRuntime]:
    """Runs of one account, on a server of their own; its provider refuses the first request of a run."""
    script = [Attempts(Failure(429, retry_after=0.1), Reply("done"))]
    agents = agent_folder(toml='[model]\naccount = "openai-main"\n')
    async with dev_server() as server, local_runtime(script, agents=agents, client=server.client) as runtime:
        yield runtime


@pytest.fixture
def command(runtime: LocalRuntime) -> Command:
    [agents] = runtime.settings.agents or []
    return command_of(runtime, BACKSTAY_AGENTS=str(agents), OPENAI_BASE_URL=runtime.model.base_url, COLUMNS="200")


@pytest.mark.timeout(120)
async def test_a_rate_is_set_lowered_by_a_refusal_shown_and_taken_away(runtime: LocalRuntime, command: Command) -> None:
    code, out, err = await command("quota", "show")
    assert (code, out) == (0, "")
    assert "no account has a rate; set one with `" in err
    code, _, err = await command("quota", "set", "openai-main", "--rps", "10", "--by", "alice", "--reason", "tier 2")
    assert (code, err) == (0, "openai-main: 600 requests per minute from now on\n")

    assert (await runtime.run_to_end({"goal": "work", "agent": "clerk"})).status == "completed"
    async with asyncio.timeout(30):
        while not (found := await shown(command))["lowered"]:
            await asyncio.sleep(0.1)
    assert (found["account"], found["rpm"], found["refusals"]) == ("openai-main", 600, 1)
    assert 300 <= found["in_force_rpm"] <= 450
    assert found["why"] == (
        "600 rpm, set by alice: tier 2; lowered, because the provider refused calls with HTTP 429 at 600 rpm"
    )
    assert found["until"] > found["since"]
    assert (found["backlog"], found["workers"]) == (0, 1)
    _, out, _ = await command("quota", "show", "openai-main")
    assert "because the provider refused calls with HTTP 429" in out

    code, _, err = await command("doctor")
    assert "openai-main: " in err + _
    assert "a queue with a backlog is shared between tenants" in err + _
    code, out, _ = await command("quota", "set", "openai-main", "--off", "--by", "bob", "-o", "json")
    assert (code, json.loads(out)) == (0, {"account": "openai-main", "rpm": None, "by": "bob", "reason": ""})
    found = await shown(command)
    assert (found["rpm"], found["in_force_rpm"], found["lowered"]) == (None, None, False)


async def shown(command: Command) -> dict[str, Any]:
    code, out, _ = await command("quota", "show", "-o", "json")
    assert code == 0
    [found] = json.loads(out)["accounts"]
    return found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["set", "a b", "--rpm", "5"], "the name of an account has 1 to 64 letters"),
        (["set", "main"], "give one of `--rpm`, `--rps` and `--off`"),
        (["set", "main", "--rpm", "5", "--off"], "give one of `--rpm`, `--rps` and `--off`"),
        (["set", "main", "--rpm", "0"], "expected a rate above 0"),
        (["show", "a/b"], "the name of an account has 1 to 64 letters"),
    ],
)
def test_what_cannot_be_a_rate_is_refused_before_anybody_is_asked(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    assert execute(["quota", *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("fair", [True, False])
async def test_a_trial_tells_whether_a_server_shares_its_queues(fair: bool) -> None:
    async with dev_server(features=[f"matching.enableFairness={str(fair).lower()}"]) as server:
        assert await shares_fairly(server.client) is fair
