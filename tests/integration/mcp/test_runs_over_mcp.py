"""Runs whose tools are those of a server: governed like any other, whatever the server does."""

import asyncio
import contextlib
import shutil
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from backstay.contracts.run import RunResult
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

from .place import RAW

UNKNOWN = '[approval]\nunknown = "ops"\ngroups = { ops = ["olga"] }\n'
PATIENCE = 40.0


class Office:
    """A runtime whose agent has the tools of one server, and the server's book."""

    def __init__(self, runtime: LocalRuntime, script: Path, book: Path) -> None:
        self.runtime = runtime
        self.script = script
        self.book = book

    async def start(self) -> WorkflowHandle[Any, Any]:
        return await self.runtime.start({"goal": "work", "agent": "office"})

    async def run(self) -> RunResult:
        return await self.result(await self.start())

    async def result(self, handle: WorkflowHandle[Any, Any]) -> RunResult:
        return RunResult.model_validate(await asyncio.wait_for(handle.result(), PATIENCE))

    def done(self) -> list[str]:
        return self.book.read_text().split("\n")[:-1] if self.book.exists() else []

    async def until_done(self, *lines: str) -> None:
        """Waits until the server has done something."""
        async with asyncio.timeout(PATIENCE):
            while not set(lines) <= set(self.done()):
                await asyncio.sleep(0.02)

    def told(self, request: int = -1) -> list[str]:
        """The results that the model was told last."""
        body: Any = self.runtime.model.requests[request].body
        return [item["output"] for item in body["input"] if item.get("type") == "function_call_output"]


Opener = Callable[..., AbstractAsyncContextManager[Office]]


@pytest.fixture
def office(client: Client, agent_folder: Callable[..., Path], tmp_path: Path) -> Opener:
    """Opens an office: `effect` is that of all tools, `toml` goes into the agent's file, `table` into its server's."""

    @contextlib.asynccontextmanager
    async def opened(
        *turns: Any, effect: str = "once", toml: str = "", table: str = "", options: tuple[str, ...] = (), **more: Any
    ) -> AsyncGenerator[Office]:
        script, book = tmp_path / "server.py", tmp_path / "book"
        shutil.copy(RAW, script)
        command = ", ".join(f'"{word}"' for word in (sys.executable, "-S", str(script), *options))
        lines = [
            'tools = ["mcp:raw/*"]',
            toml,
            "[mcp.raw]",
            f"command = [{command}]",
            f'effect = {{ "*" = "{effect}" }}',
            table or f'env = {{ BOOK = "{book}" }}',
        ]
        agents = agent_folder("office", "\n".join(lines))
        async with local_runtime([*turns, Reply("done")], agents=agents, client=client, **more) as runtime:
            yield Office(runtime, script, book)

    return opened


def call(tool: str, text: str = "") -> Reply:
    return Reply(calls=[Call(f"mcp__raw__{tool}", {"text": text} if text else {})])


async def test_a_tool_of_a_server_is_called_and_its_result_taints(office: Opener) -> None:
    async with office(call("echo", "hello")) as place:
        handle = await place.start()
        result = await place.result(handle)
        assert (result.stop_reason, result.spent.tools) == ("completed", {"mcp:raw/echo": 1})
        [told] = place.told()
        assert '"text": "hello"' in told
        assert handle.id in told
        status = await handle.query("audit")
        assert "mcp:raw/echo" in str(status)
        offered: Any = place.runtime.model.requests[0].body["tools"]
        assert "mcp__raw__echo" in [tool["name"] for tool in offered]
        assert all(":" not in tool["name"] for tool in offered)
        assert place.done() == ["echo hello"]


async def test_arguments_that_do_not_fit_reach_no_server(office: Opener) -> None:
    bad = Reply(calls=[Call("mcp__raw__echo", {"text": 5})])
    async with office(bad, Reply(calls=[Call("mcp__raw__nothing")])) as place:
        await place.run()
        assert place.done() == []
        assert "not of type" in place.told(1)[0]
        assert "mcp__raw__echo" in place.told()[1]


async def test_what_died_in_the_call_for_once_is_never_repeated(office: Opener) -> None:
    async with office(call("die_once", "x")) as place:
        result = await place.run()
        assert result.stop_reason == "outcome_unknown"
        assert place.done() == ["die_once x"]


async def test_a_person_says_what_became_of_it(office: Opener) -> None:
    async with office(call("die_once", "x"), toml=UNKNOWN) as place:
        handle = await place.start()
        async with asyncio.timeout(PATIENCE):
            while not (waiting := (await handle.query("status"))["pending_approvals"]):
                await asyncio.sleep(0.05)
        answer = {"approval_id": waiting[0]["approval_id"], "by": "olga", "answer": "not_happened"}
        await handle.execute_update("answer", answer)
        assert (await place.result(handle)).stop_reason == "completed"
        assert place.done() == ["die_once x", "die_once x"]


@pytest.mark.parametrize("effect", ["read", "write"])
async def test_what_may_be_repeated_is_repeated_with_the_same_key(office: Opener, effect: str) -> None:
    async with office(call("die_once", "x"), effect=effect, options=("--keys",)) as place:
        assert (await place.run()).stop_reason == "completed"
        first, second = place.done()[1::2]
        assert place.done()[0::2] == ["die_once x"] * 2
        assert first == second == place.told()[0]


async def test_a_call_that_was_never_sent_is_tried_again_for_once_too(office: Opener) -> None:
    async with office(call("die"), call("echo", "again"), toml=UNKNOWN) as place:
        hidden = place.script.rename(place.script.with_suffix(".hidden"))
        handle = await place.start()
        async with asyncio.timeout(PATIENCE):
            while "mcp_unreachable" not in str((await handle.query("status"))["trouble"]):
                await asyncio.sleep(0.05)
        assert place.done() == []
        hidden.rename(place.script)
        await place.until_done("die")
        async with asyncio.timeout(PATIENCE):
            while not (waiting := (await handle.query("status"))["pending_approvals"]):
                await asyncio.sleep(0.05)
        answer = {"approval_id": waiting[0]["approval_id"], "by": "olga", "answer": "happened", "result": "it died"}
        await handle.execute_update("answer", answer)
        await place.result(handle)
        assert place.done() == ["die", "echo again"]


@pytest.mark.parametrize("effect", ["read", "write", "once"])
async def test_a_server_that_is_never_reached_fails_the_call_and_not_the_run(office: Opener, effect: str) -> None:
    async with office(call("echo"), effect=effect, toml='[model]\ngive_up_after = "2s"\n') as place:
        place.script.unlink()
        assert (await place.run()).stop_reason == "completed"
        assert place.told()[0].startswith("failed: mcp_unreachable: `raw` cannot be connected to")
        assert place.done() == []


async def test_a_changed_tool_is_refused_and_the_others_go_on(office: Opener) -> None:
    async with office(call("change"), call("echo", "x"), call("twice"), effect="read") as place:
        handle = await place.start()
        assert (await place.result(handle)).stop_reason == "completed"
        assert "schema_drift: the tool `echo` of the server `raw` is not what it was" in place.told()[1]
        assert place.told()[2] == "first"
        assert place.done() == ["change", "twice"]
        judged = [str(record["facts"]) for record in (await handle.query("audit"))["items"]]
        assert any("schema_drift" in facts and "mcp:raw/echo" in facts for facts in judged)


async def test_a_server_that_calls_itself_otherwise_stands_in_the_audit_once_and_is_called_all_the_same(
    office: Opener,
) -> None:
    async with office(call("echo", "a"), call("twice", "b")) as place:
        place.script.write_text(place.script.read_text().replace('"version": "1"', '"version": "2\u200b"'))
        handle = await place.start()
        assert (await place.result(handle)).stop_reason == "completed"
        assert place.done() == ["echo a", "twice b"]
        changed = [one for one in (await handle.query("audit"))["items"] if one["event"] == "server_changed"]
        [facts] = [one["facts"] for one in changed]
        assert (facts["tool"], facts["was"], facts["now"]) == ("mcp:raw/echo", "raw 1", "raw 2")


async def test_errors_of_a_server_are_what_the_model_reads(office: Opener) -> None:
    async with office(call("is_error"), call("error"), call("misfit"), call("picture")) as place:
        assert (await place.run()).stop_reason == "completed"
        is_error, error, misfit, picture = place.told()
        assert is_error == "failed: no such file"
        assert error == "failed: the server answered with error -32000: the disk is full"
        assert misfit.startswith("bad_result: the call was executed")
        assert '"bytes":300000' in picture
        assert len(picture) < 300


async def test_a_secret_of_a_server_never_comes_back(office: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAW_TOKEN", "canary-token-4242")
    async with office(call("environment"), table='env = { TOKEN = "secret:RAW_TOKEN" }') as place:
        handle = await place.start()
        await place.result(handle)
        assert "[secret RAW_TOKEN]" in place.told()[0]
        history = await handle.fetch_history()
        assert "canary-token-4242" not in history.to_json()


async def test_a_kill_cuts_a_call_off_and_says_that_its_outcome_is_unknown(office: Opener) -> None:
    async with office(call("hang", "x")) as place:
        handle = await place.start()
        await place.until_done("hang x")
        await handle.execute_update("kill", {"by": "olga", "reason": "enough"})
        result = await place.result(handle)
        assert result.stop_reason == "killed"
        assert [(one.tool, one.outcome) for one in result.in_flight] == [("mcp:raw/hang", "unknown")]


async def test_a_time_limit_cuts_a_call_for_once_off_and_nobody_repeats_it(office: Opener, tmp_path: Path) -> None:
    table = f'env = {{ BOOK = "{tmp_path / "book"}" }}\ntimeout = "1s"'
    async with office(call("hang", "x"), table=table) as place:
        assert (await place.run()).stop_reason == "outcome_unknown"
        await place.until_done("cancelled")
        assert place.done().count("hang x") == 1
