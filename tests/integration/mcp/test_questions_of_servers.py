"""A server that asks people in the middle of a call: a person replies, and nothing happens twice."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError

from backstay.contracts.run import RunResult
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

from .place import RAW

ASKING = Path(__file__).with_name("asking_server.py")
PATIENCE = 60.0
PEOPLE = '[approval]\ngroups = { ops = ["olga"] }\n'


class Office:
    """A runtime whose agent has the tools of a server that asks, and the server's book."""

    def __init__(self, runtime: LocalRuntime, book: Path) -> None:
        self.runtime = runtime
        self.book = book

    async def start(self) -> WorkflowHandle[Any, Any]:
        return await self.runtime.start({"goal": "work", "agent": "office"})

    async def result(self, handle: WorkflowHandle[Any, Any]) -> RunResult:
        return RunResult.model_validate(await asyncio.wait_for(handle.result(), PATIENCE))

    async def asked(self, handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
        """Waits for the question."""
        async with asyncio.timeout(PATIENCE):
            while not (waiting := (await handle.query("status"))["pending_approvals"]):
                await asyncio.sleep(0.05)
        return waiting[0]

    async def answers(self, handle: WorkflowHandle[Any, Any], answer: str) -> dict[str, Any]:
        """Answers the open question, and returns it."""
        question = await self.asked(handle)
        given = {"approval_id": question["approval_id"], "by": "olga", "answer": answer}
        await handle.execute_update("answer", given)
        return question

    def done(self) -> list[str]:
        return self.book.read_text().split("\n")[:-1] if self.book.exists() else []

    def told(self) -> str:
        """The result that the model was told last."""
        body: Any = self.runtime.model.requests[-1].body
        return [item["output"] for item in body["input"] if item.get("type") == "function_call_output"][-1]


Opener = Callable[..., AbstractAsyncContextManager[Office]]


@pytest.fixture
def office(client: Client, agent_folder: Callable[..., Path], tmp_path: Path) -> Opener:
    """Opens an office whose model calls one tool."""

    @contextlib.asynccontextmanager
    async def opened(
        tool: str, server: Path = ASKING, effect: str = "once", questions: str = 'questions = "ops"', toml: str = PEOPLE
    ) -> AsyncGenerator[Office]:
        book = tmp_path / "book"
        lines = [
            'tools = ["mcp:desk/*"]',
            toml,
            "[mcp.desk]",
            f'command = ["{sys.executable}", "{server}"]',
            f'effect = {{ "*" = "{effect}" }}',
            f'env = {{ BOOK = "{book}" }}',
            questions,
        ]
        agents = agent_folder("office", "\n".join(lines))
        turns = [Reply(calls=[Call(f"mcp__desk__{tool}")]), Reply("done")]
        async with local_runtime(turns, agents=agents, client=client) as runtime:
            yield Office(runtime, book)

    return opened


async def test_a_call_goes_on_with_what_a_person_replies(office: Opener) -> None:
    async with office("book") as place:
        handle = await place.start()
        question = await place.answers(handle, '{"seats": 2, "row": "front"}')
        assert (await place.result(handle)).stop_reason == "completed"
        assert (question["kind"], question["tool"], question["groups"]) == ("question", "mcp:desk/book", ["ops"])
        assert question["args"]["question"] == "How many seats?"
        assert question["args"]["fields"] == {
            "seats": "whole number",
            "row": "one of the choices: front, back, may be left out",
        }
        assert '{"seats": 2, "row": "front"}' in place.told()
        assert "held-7" in place.told()
        [asked, booked] = place.done()
        assert (asked.split()[0], booked.split()[0]) == ("asked", "booked")
        assert asked.split()[1] == booked.split()[1], "the call has one key from beginning to end"


async def test_a_person_may_decline(office: Opener) -> None:
    async with office("book") as place:
        handle = await place.start()
        await place.answers(handle, "decline")
        await place.result(handle)
        assert [line.split()[0] for line in place.done()] == ["asked", "left"]


async def test_an_answer_that_does_not_fit_is_refused_and_the_question_stays(office: Opener) -> None:
    async with office("book") as place:
        handle = await place.start()
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await place.answers(handle, '{"seats": "two"}')
        assert "`seats` is to be whole number" in str(refused.value.cause)
        await place.answers(handle, '{"seats": 2}')
        assert (await place.result(handle)).stop_reason == "completed"


async def test_nobody_answers_in_time_and_nothing_is_booked(office: Opener) -> None:
    hurry = PEOPLE.replace("[approval]\n", '[approval]\nexpires_after = "2s"\n')
    async with office("book", toml=hurry) as place:
        result = await place.result(await place.start())
        assert result.stop_reason == "completed"
        assert "nobody answered in time" in place.told()
        assert [line.split()[0] for line in place.done()] == ["asked"]


async def test_a_killed_run_books_nothing(office: Opener) -> None:
    async with office("book") as place:
        handle = await place.start()
        await place.asked(handle)
        await handle.signal("kill", {"by": "olga"})
        assert (await place.result(handle)).stop_reason == "killed"
        assert [line.split()[0] for line in place.done()] == ["asked"]


async def test_a_server_that_never_stops_asking_is_cut_off(office: Opener) -> None:
    async with office("again") as place:
        handle = await place.start()
        for _ in range(5):
            question = await place.answers(handle, '{"seats": 2}')
            async with asyncio.timeout(PATIENCE):
                while question in (await handle.query("status"))["pending_approvals"]:
                    await asyncio.sleep(0.05)
        await place.result(handle)
        assert "more than 5 times" in place.told()


async def test_nobody_is_ever_sent_to_a_page(office: Opener) -> None:
    async with office("page") as place:
        await place.result(await place.start())
        assert "no person here may be asked" in place.told()
        assert "evil.example" not in place.told()


async def test_without_a_group_nobody_is_asked(office: Opener) -> None:
    async with office("book", questions="") as place:
        await place.result(await place.start())
        assert "`questions` in agent.toml names no group" in place.told()


async def test_over_the_old_protocol_a_call_that_may_be_repeated_begins_again(office: Opener) -> None:
    async with office("elicit", RAW, "write") as place:
        handle = await place.start()
        question = await place.answers(handle, "accept")
        assert (await place.result(handle)).stop_reason == "completed"
        assert question["args"] == {"question": "sure?", "choices": ["accept", "decline"]}
        assert '"action": "accept"' in place.told()
        assert place.done() == ["elicit", "elicit"]


async def test_over_the_old_protocol_nobody_is_asked_in_a_call_that_may_happen_once(office: Opener) -> None:
    async with office("elicit", RAW) as place:
        await place.result(await place.start())
        assert "in the middle of a call that cannot begin again" in place.told()
        assert '"action": "cancel"' in place.told()
        assert place.done() == ["elicit"]
