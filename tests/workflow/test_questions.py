"""`ask_human`: the run waits for words of a person of a group, as it does for an approval, and goes on without them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from backstay.errors import ConfigurationError
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

TOML = """
tools = ["std:ask_human"]
[std.ask_human]
group = "ops"
[approval]
groups = { ops = ["olga", "otto"], finance = ["finn"] }
expires_after = "EXPIRES"
"""
Handle = WorkflowHandle[Any, Any]
Opener = Callable[..., AbstractAsyncContextManager["Desk"]]


class Desk:
    """An agent that asks people."""

    def __init__(self, runtime: LocalRuntime) -> None:
        self.runtime = runtime

    async def start(self) -> Handle:
        return await self.runtime.start({"goal": "ask", "agent": "clerk", "requested_by": "rita"})

    async def asked(self, handle: Handle, count: int = 1) -> list[dict[str, Any]]:
        """The open questions, once there are so many."""
        for _ in range(600):
            pending = (await handle.query("status"))["pending_approvals"]
            if len(pending) == count:
                return pending
            await asyncio.sleep(0.05)
        raise TimeoutError("no question was opened")

    async def answer(self, handle: Handle, asked: dict[str, Any], said: str, by: str = "olga", **more: Any) -> Any:
        payload = {"approval_id": asked["approval_id"], "by": by, "answer": said, **more}
        return await handle.execute_update("answer", payload)

    async def refused(self, handle: Handle, name: str, payload: dict[str, Any]) -> ApplicationError:
        with pytest.raises(WorkflowUpdateFailedError) as raised:
            await handle.execute_update(name, payload)
        assert isinstance(raised.value.cause, ApplicationError)
        return raised.value.cause

    async def read(self, handle: Handle) -> list[Any]:
        """What the model read of its calls."""
        items = (await handle.query("transcript"))["items"]
        return [json.loads(item["text"]) for item in items if item["kind"] == "result"]


@pytest.fixture
def desk(client: Client, agent_folder: Callable[..., Path]) -> Opener:
    @asynccontextmanager
    async def opened(*script: Any, toml: str = TOML, expires: str = "1h") -> AsyncIterator[Desk]:
        agents = agent_folder("clerk", toml.replace("EXPIRES", expires))
        async with local_runtime(list(script), agents=agents, client=client) as runtime:
            yield Desk(runtime)

    return opened


def question(text: str = "Which colour?", **more: Any) -> Call:
    return Call("ask_human", {"question": text, **more})


async def ended(handle: Handle) -> dict[str, Any]:
    return await asyncio.wait_for(handle.result(), 60)


async def test_a_person_of_the_group_answers_in_words_and_the_model_reads_them(desk: Opener) -> None:
    async with desk(Reply(calls=[question()]), Reply("blue it is")) as clerk:
        handle = await clerk.start()
        [asked] = await clerk.asked(handle)
        assert (asked["kind"], asked["tool"], asked["args"]) == ("question", "ask_human", {"question": "Which colour?"})
        assert (asked["groups"], asked["approvers"], asked["rules"]) == (["ops"], ["olga", "otto"], [])
        assert (await handle.query("status"))["state"] == "waiting_approval"
        closed = await clerk.answer(handle, asked, "The blue one,\nplease", comment="as always")
        assert closed["state"] == "closed"
        result = await ended(handle)
        assert (result["status"], result["answer"], result["spent"]["tool_calls"]) == ("completed", "blue it is", 1)
        assert await clerk.read(handle) == [{"answer": "The blue one,\nplease", "by": "olga", "comment": "as always"}]
        events = [event async for event in handle.fetch_history_events()]
        scheduled = [event.activity_task_scheduled_event_attributes.activity_type.name for event in events]
        assert "act" not in scheduled  # nobody executes a question


async def test_an_answer_taints_the_run_and_one_of_a_trusted_group_does_not(desk: Opener) -> None:
    for trusted in ("false", "true"):
        toml = TOML.replace('group = "ops"', f'group = "ops"\ntrusted = {trusted}')
        async with desk(
            Reply(calls=[question()]), Reply(calls=[question("And now?")]), Reply("done"), toml=toml
        ) as clerk:
            handle = await clerk.start()
            [asked] = await clerk.asked(handle)
            await clerk.answer(handle, asked, "blue")
            [again] = await clerk.asked(handle)
            assert again["taint"] == ([] if trusted == "true" else ["untrusted"])
            await clerk.answer(handle, again, "later")
            await ended(handle)


async def test_only_words_that_answer_by_people_who_may_are_taken(desk: Opener) -> None:
    async with desk(Reply(calls=[question(choices=["red", "blue"])]), Reply("done")) as clerk:
        handle = await clerk.start()
        [asked] = await clerk.asked(handle)
        vote = {"approval_id": asked["approval_id"], "by": "olga"}
        codes = [
            (await clerk.refused(handle, "answer", {**vote, "answer": "green"})).type,
            (await clerk.refused(handle, "answer", {**vote, "answer": "happened"})).type,
            (await clerk.refused(handle, "answer", {**vote, "answer": "x" * 2_001})).type,
            (await clerk.refused(handle, "answer", {**vote, "answer": "red", "by": "finn"})).type,
            (await clerk.refused(handle, "answer", {**vote, "answer": "red", "by": "rita"})).type,
            (await clerk.refused(handle, "approve", vote)).type,
            (await clerk.refused(handle, "deny", vote)).type,
            (await clerk.refused(handle, "edit", {**vote, "args": {"question": "b"}})).type,
        ]
        assert codes == [
            *("InvalidAnswer", "InvalidAnswer", "InvalidMessage", "NotInGroup", "RequesterMayNotApprove"),
            *("WrongKind", "WrongKind", "WrongKind"),
        ]
        await handle.signal("answer", {**vote, "answer": "blue"})
        await ended(handle)
        assert await clerk.read(handle) == [{"answer": "blue", "by": "olga"}]


async def test_a_control_character_answers_nothing(desk: Opener) -> None:
    async with desk(Reply(calls=[question()]), Reply("done")) as clerk:
        handle = await clerk.start()
        [asked] = await clerk.asked(handle)
        vote = {"approval_id": asked["approval_id"], "by": "olga"}
        assert (await clerk.refused(handle, "answer", {**vote, "answer": "a\u202eb"})).type == "InvalidAnswer"
        await clerk.answer(handle, asked, "a")
        await ended(handle)


@pytest.mark.parametrize("on_expiry", ["deny", "stop"])
async def test_without_an_answer_in_time_the_model_is_told_and_the_run_goes_on(desk: Opener, on_expiry: str) -> None:
    toml = f'{TOML}on_expiry = "{on_expiry}"\n[stop]\ndenials = 1\nfailures = 1\n'
    async with desk(Reply(calls=[question()]), Reply("without it"), toml=toml, expires="1s") as clerk:
        handle = await clerk.start()
        result = await ended(handle)
        assert (result["status"], result["answer"]) == ("completed", "without it")
        assert await clerk.read(handle) == [{"answer": None, "why": "nobody answered in time"}]


async def test_questions_of_one_decision_wait_side_by_side_and_a_kill_closes_them(desk: Opener) -> None:
    async with desk(Reply(calls=[question("one?"), question("two?")]), Reply("done")) as clerk:
        handle = await clerk.start()
        asked = {one["args"]["question"]: one for one in await clerk.asked(handle, 2)}
        await clerk.answer(handle, asked["two?"], "second")
        await clerk.asked(handle, 1)
        await handle.execute_update("kill", {"by": "olga"})
        result = await ended(handle)
        assert (result["status"], result["stop_reason"]) == ("stopped", "killed")


async def test_the_words_of_a_question_are_shown_as_they_are_and_steer_nobody(desk: Opener) -> None:
    text = "[click](https://evil.example) `x` <img src=x> \u202eevil"
    async with desk(Reply(calls=[question(text)]), Reply("done")) as clerk:
        handle = await clerk.start()
        [asked] = await clerk.asked(handle)
        description = await handle.describe()
        memo = json.dumps(await description.memo())
        page = json.dumps(asked)
        assert "\u202e" not in memo
        assert "[click](https://evil.example)" in page
        await clerk.answer(handle, asked, "no")
        await ended(handle)


def test_a_group_without_members_keeps_the_worker_from_starting(agent_folder: Callable[..., Path]) -> None:
    from backstay.adapters.agent.catalog import Catalog
    from backstay.adapters.agent.folder import load_agents
    from backstay.adapters.agent.organisation import load_organisation
    from backstay.settings import Settings

    agents = agent_folder("clerk", TOML.replace("EXPIRES", "1h").replace('group = "ops"', 'group = "nobody"'))
    settings = Settings.model_validate({"openai_base_url": "http://127.0.0.1:1/v1"})
    with pytest.raises(ConfigurationError, match=r"the group `nobody` of `std.ask_human.group` has no members"):
        Catalog(load_agents([agents]), settings, load_organisation([]))
