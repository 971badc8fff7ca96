"""The scripted model as a server and as a command, asked by the official OpenAI client."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from backstay.testing import (
    Attempts,
    Drip,
    Drop,
    Failure,
    Raw,
    Reply,
    Request,
    ScriptedModel,
)

from .conftest import GOAL, Ask


async def test_each_new_key_takes_the_next_turn_of_its_conversation(ask: Ask) -> None:
    asker = await ask([Reply("one"), Reply("two")])
    assert await asker.said("a/decide-1") == "one"
    assert await asker.said("b/decide-7") == "one"
    assert await asker.said("a/decide-2") == "two"
    places = [(request.conversation, request.index) for request in asker.model.requests]
    assert places == [("a", 0), ("b", 0), ("a", 1)]


async def test_a_seen_key_keeps_its_place_in_the_script(ask: Ask) -> None:
    asker = await ask([Reply("one"), Reply("two")])
    for place in ("a/decide-1", "a/decide-2", "a/decide-1"):
        await asker.said(place)
    assert [(r.index, r.attempt) for r in asker.model.requests] == [(0, 1), (1, 1), (0, 2)]


async def test_attempts_at_one_decision_get_their_own_turns_and_the_last_repeats(ask: Ask) -> None:
    asker = await ask([Attempts(Failure(503), Reply("good")), Reply("next")])
    with pytest.raises(openai.InternalServerError):
        await asker.said("a/decide-1")
    assert await asker.said("a/decide-1") == "good"
    assert await asker.said("a/decide-1") == "good"
    assert await asker.said("a/decide-2") == "next"


async def test_an_exhausted_script_says_that_it_is_over(ask: Ask) -> None:
    asker = await ask([])
    completion = await asker.chat()
    assert completion.choices[0].message.content == "scripted model: the script is over"
    assert completion.choices[0].finish_reason == "stop"


async def test_a_script_is_chosen_by_what_occurs_in_the_goal(ask: Ask) -> None:
    asker = await ask({"Refund": [Reply("refunded")], "order": [Reply("found")]}, Reply("neither"))
    assert await asker.said(goal="Refund my order") == "refunded"
    assert await asker.said(goal="Where is my order?") == "found"
    assert await asker.said(goal="Hello") == "neither"


async def test_a_turn_can_be_a_function_of_the_request(ask: Ask) -> None:
    def erratic(request: Request) -> Attempts:
        return Attempts(Failure(500), Reply(f"{request.api} attempt {request.attempt} at {request.goal}"))

    asker = await ask([erratic])
    with pytest.raises(openai.InternalServerError):
        await asker.said("a/decide-1", "this")
    assert await asker.said("a/decide-1", "this") == "chat attempt 2 at this"


async def test_raw_replies_arrive_as_they_are(ask: Ask) -> None:
    asker = await ask([Raw(200, "<html>busy</html>", "text/html"), Raw(200, b""), Raw(200, '{"choices": null}')])
    assert await asker.chat("a/decide-1") == "<html>busy</html>"
    with pytest.raises(json.JSONDecodeError):
        await asker.chat("a/decide-2")
    assert (await asker.chat("a/decide-3")).choices is None


@pytest.mark.parametrize("after_bytes", [0, 10, 1_000_000])
async def test_a_drop_closes_the_connection_before_the_reply_is_whole(ask: Ask, after_bytes: int) -> None:
    asker = await ask([Drop(after_bytes=after_bytes), Reply("ok")])
    with pytest.raises(openai.APIConnectionError):
        await asker.said("a/decide-1")
    assert await asker.said("a/decide-2") == "ok"
    assert asker.model.cancelled == 0


async def test_a_drip_outlives_a_timeout_per_read(ask: Ask) -> None:
    asker = await ask([Drip(0.6, Reply("slow"))])
    start = time.monotonic()
    assert await asker.said(timeout=0.3) == "slow"
    assert time.monotonic() - start >= 0.6
    assert len(asker.model.served) == 1


@pytest.mark.parametrize("turn", [Reply("late", delay=30), Drip(30), Failure(500, delay=30), Drop(30)])
async def test_a_client_that_leaves_is_counted_as_cancelled(ask: Ask, turn: Any) -> None:
    asker = await ask([turn])
    asked = asyncio.create_task(asker.chat())
    await eventually(lambda: len(asker.model.requests) == 1)
    asked.cancel()
    await eventually(lambda: asker.model.cancelled == 1)
    assert asker.model.served == []


async def test_a_stopping_server_counts_nobody_as_cancelled_and_does_not_wait() -> None:
    async with AsyncOpenAI(base_url="http://unused", api_key="none", max_retries=0) as client:
        async with ScriptedModel([Reply("late", delay=30)]) as model:
            client.base_url = model.base_url
            asked = asyncio.create_task(client.responses.create(model="any", input=GOAL))
            await eventually(lambda: len(model.requests) == 1)
            start = time.monotonic()
        assert time.monotonic() - start < 5
        assert model.cancelled == 0
        with pytest.raises(openai.APIConnectionError):
            await asked


async def test_what_cannot_be_answered_is_refused_by_name(ask: Ask) -> None:
    asker = await ask([Reply("ok")])
    with pytest.raises(openai.BadRequestError, match="streaming is not supported"):
        await asker.client.chat.completions.create(model="any", messages=[], stream=True)
    with pytest.raises(openai.NotFoundError, match="nothing at this address"):
        await asker.client.files.list()
    with pytest.raises(openai.BadRequestError, match="not a JSON object"):
        await asker.client.post("/responses", cast_to=object, body=[1])
    assert asker.model.requests == []


def test_an_address_outside_the_block_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        _ = ScriptedModel().base_url


async def test_fifty_clients_at_once_are_served_without_a_pause(ask: Ask) -> None:
    asker = await ask([Reply("ok")])
    answers = await asyncio.gather(*(asker.said(f"run-{n}/decide-1") for n in range(50)))
    assert answers == ["ok"] * 50
    assert len({request.conversation for request in asker.model.requests}) == 50


async def eventually(holds: Callable[[], bool]) -> None:
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it did not happen within 10 seconds")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "backstay.testing.model.server", *arguments]


async def test_the_command_says_where_it_listens_and_plays_its_file(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('[{"text": "from the file"}]')
    server = await asyncio.create_subprocess_exec(*command("--script", str(script)), stdout=asyncio.subprocess.PIPE)
    try:
        assert server.stdout is not None
        line = (await server.stdout.readline()).decode()
        assert line.startswith("scripted model listening on http://127.0.0.1:")
        assert line.endswith("/v1 (no real model is behind it)\n")
        async with AsyncOpenAI(base_url=line.split()[4], api_key="none", max_retries=0) as client:
            assert (await client.responses.create(model="any", input="hello")).output_text == "from the file"
    finally:
        server.terminate()
    assert await asyncio.wait_for(server.wait(), 10) == 0


def test_the_command_refuses_a_wrong_file_in_one_line(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text("[{}]")
    for path, message in (
        (script, "script.json: [0]: needs one of"),
        (tmp_path / "none.json", "No such file"),
    ):
        run = subprocess.run(command("--script", str(path)), capture_output=True, text=True, check=False)
        assert run.returncode == 2
        assert message in run.stderr
        assert run.stderr.count("\n") == 1
