"""The scripted model, asked by the official OpenAI client."""

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, cast

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessageFunctionToolCall
from openai.types.responses import Response, ResponseFunctionToolCall, ResponseOutputMessage

from backstay.testing import (
    JSON,
    MISSING,
    Attempts,
    Call,
    Drip,
    Drop,
    Failure,
    Raw,
    RawUsage,
    Reply,
    Request,
    ScriptedModel,
    Usage,
)

GOAL = "Refund order A17 of 120 EUR to ann@example.com"
LOOKUP = {
    "type": "object",
    "properties": {"order_id": {"type": "string"}, "note": {"type": "string"}},
    "required": ["order_id"],
}
CALLS = Reply("Let me look.", [Call("lookup", {"order_id": "A17"}), Call("lookup", "{not JSON", id="mine")])


class Asker:
    """Asks a scripted model through the official client, with an idempotency key where a place is given."""

    def __init__(self, model: ScriptedModel, client: AsyncOpenAI) -> None:
        self.model = model
        self.client = client

    async def chat(self, place: str | None = None, goal: str = GOAL, **more: Any) -> ChatCompletion:
        messages = more.pop("messages", [{"role": "user", "content": goal}])
        headers = {"Idempotency-Key": place} if place else {}
        return await self.client.chat.completions.create(model="any", messages=messages, extra_headers=headers, **more)

    async def respond(self, place: str | None = None, given: Any = GOAL, **more: Any) -> Response:
        headers = {"Idempotency-Key": place} if place else {}
        return await self.client.responses.create(model="any", input=given, extra_headers=headers, **more)

    async def said(self, place: str | None = None, goal: str = GOAL, **more: Any) -> str | None:
        return (await self.chat(place, goal, **more)).choices[0].message.content


Ask = Callable[..., Any]


@pytest.fixture
async def ask() -> AsyncIterator[Ask]:
    """Start a scripted model and return who asks it; both are closed after the test."""
    async with AsyncExitStack() as stack:

        async def start(*given: Any) -> Asker:
            model = await stack.enter_async_context(ScriptedModel(*given))
            client = AsyncOpenAI(base_url=model.base_url, api_key="none", max_retries=0)
            return Asker(model, await stack.enter_async_context(client))

        yield start


async def test_chat_calls_parse_into_the_clients_types(ask: Ask) -> None:
    asker = await ask([CALLS])
    completion = await asker.chat()
    assert completion.id.startswith("scripted-")
    assert completion.model == "scripted"
    choice = completion.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "Let me look."
    calls = cast("list[ChatCompletionMessageFunctionToolCall]", choice.message.tool_calls)
    assert all(isinstance(call, ChatCompletionMessageFunctionToolCall) for call in calls)
    assert [call.id for call in calls] == ["scripted-call-0-0", "mine"]
    assert calls[0].function.name == "lookup"
    assert json.loads(calls[0].function.arguments) == {"order_id": "A17"}
    assert calls[1].function.arguments == "{not JSON"


async def test_responses_items_parse_into_the_clients_types(ask: Ask) -> None:
    asker = await ask([CALLS])
    response = await asker.respond()
    assert response.id.startswith("scripted-")
    assert response.model == "scripted"
    assert response.status == "completed"
    message, first, second = response.output
    assert isinstance(message, ResponseOutputMessage)
    assert response.output_text == "Let me look."
    assert isinstance(first, ResponseFunctionToolCall)
    assert isinstance(second, ResponseFunctionToolCall)
    assert (first.call_id, first.name, second.call_id) == ("scripted-call-0-0", "lookup", "mine")
    assert json.loads(first.arguments) == {"order_id": "A17"}
    assert second.arguments == "{not JSON"


async def test_replies_pass_the_clients_strict_validation() -> None:
    async with (
        ScriptedModel([CALLS, Reply("Cut", finish="length")]) as model,
        AsyncOpenAI(base_url=model.base_url, api_key="none", max_retries=0, _strict_response_validation=True) as client,
    ):
        for n in range(2):
            headers = {"Idempotency-Key": f"chat/decide-{n}"}
            await client.chat.completions.create(
                model="any", messages=[{"role": "user", "content": GOAL}], extra_headers=headers
            )
            headers = {"Idempotency-Key": f"responses/decide-{n}"}
            await client.responses.create(model="any", input=GOAL, extra_headers=headers)


async def test_a_bill_arrives_with_its_details_in_both_apis(ask: Ask) -> None:
    asker = await ask([Reply("ok", usage=Usage(100, 20, cached_tokens=80, reasoning_tokens=15))])
    chat = (await asker.chat()).usage
    assert (chat.prompt_tokens, chat.completion_tokens, chat.total_tokens) == (100, 20, 120)
    assert chat.prompt_tokens_details.cached_tokens == 80
    assert chat.completion_tokens_details.reasoning_tokens == 15
    bill = (await asker.respond()).usage
    assert (bill.input_tokens, bill.output_tokens, bill.total_tokens) == (100, 20, 120)
    assert bill.input_tokens_details.cached_tokens == 80
    assert bill.output_tokens_details.reasoning_tokens == 15
    assert [served[1:] for served in asker.model.served] == [(100, 20), (100, 20)]


async def test_a_bill_nobody_wrote_is_plausible_and_within_the_output_limit(ask: Ask) -> None:
    asker = await ask([Reply("x" * 400)])
    usage = (await asker.chat()).usage
    assert usage.prompt_tokens == len(asker.model.requests[0].raw) // 4
    assert usage.completion_tokens == 100
    assert (await asker.chat(max_completion_tokens=7)).usage.completion_tokens == 7
    assert (await asker.respond(max_output_tokens=8)).usage.output_tokens == 8


@pytest.mark.parametrize("lie", [None, "many", -5, {"prompt_tokens": -1}, {"prompt_tokens": 10**30}, []])
async def test_a_bill_that_lies_is_sent_verbatim_and_not_counted_as_served(ask: Ask, lie: JSON) -> None:
    asker = await ask([Reply("ok", usage=RawUsage(lie))])
    raw = await asker.client.chat.completions.with_raw_response.create(model="any", messages=[])
    assert json.loads(raw.content)["usage"] == lie
    assert asker.model.served == []


async def test_a_bill_can_be_missing_or_not_a_number(ask: Ask) -> None:
    asker = await ask([Reply("ok", usage=RawUsage(MISSING)), Reply("ok", usage=RawUsage({"prompt_tokens": math.nan}))])
    create = asker.client.chat.completions.with_raw_response.create
    first = await create(model="any", messages=[], extra_headers={"Idempotency-Key": "run/decide-1"})
    assert "usage" not in json.loads(first.content)
    second = await create(model="any", messages=[], extra_headers={"Idempotency-Key": "run/decide-2"})
    assert math.isnan(json.loads(second.content)["usage"]["prompt_tokens"])


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
async def test_a_cut_reply_says_so_in_both_apis(ask: Ask, finish: str, reason: str) -> None:
    asker = await ask([Reply("It was sh", calls=CALLS.calls, finish=finish)])
    choice = (await asker.chat()).choices[0]
    assert choice.finish_reason == finish
    assert len(choice.message.tool_calls) == 2
    response = await asker.respond()
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == reason


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


async def test_without_a_key_the_assistant_turns_of_a_chat_give_the_place(ask: Ask) -> None:
    asker = await ask([Reply("one"), Reply("two"), Reply("three")])
    history = [
        {"role": "user", "content": [{"type": "text", "text": GOAL}]},
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": "go on"},
    ]
    assert await asker.said(messages=history[:1]) == "one"
    assert await asker.said(messages=history) == "two"
    assert asker.model.requests[1].goal == GOAL
    assert asker.model.requests[1].conversation is None
    assert await asker.said("a key without a slash", messages=history) == "two"


async def test_without_a_key_the_groups_of_assistant_items_give_the_place(ask: Ask) -> None:
    asker = await ask([Reply("one"), Reply("two"), Reply("three")])
    call = {"type": "function_call", "name": "lookup", "arguments": "{}"}
    result = {"type": "function_call_output", "output": "shipped"}
    history = [
        {"role": "user", "content": [{"type": "input_text", "text": GOAL}]},
        {"role": "assistant", "content": "Let me look."},
        {**call, "call_id": "1"},
        {**call, "call_id": "2"},
        {**result, "call_id": "1"},
        {**result, "call_id": "2"},
        {**call, "call_id": "3"},
        {**result, "call_id": "3"},
    ]
    assert (await asker.respond(given=history)).output_text == "three"
    assert asker.model.requests[0].goal == GOAL


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


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (429, openai.RateLimitError),
        (503, openai.InternalServerError),
    ],
)
async def test_failures_arrive_as_the_clients_errors(ask: Ask, status: int, error: type[openai.APIStatusError]) -> None:
    asker = await ask([Failure(status, "no", code="some_code", retry_after=1.5)])
    with pytest.raises(error) as caught:
        await asker.respond()
    assert caught.value.code == "some_code"
    assert caught.value.response.headers["retry-after"] == "1.5"
    assert "scripted" in caught.value.response.headers["server"]
    assert asker.model.served == []


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


async def test_the_list_of_models_names_the_scripted_one(ask: Ask) -> None:
    assert [model.id async for model in (await ask()).client.models.list()] == ["scripted"]


def test_an_address_outside_the_block_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        _ = ScriptedModel().base_url


async def test_fifty_clients_at_once_are_served_without_a_pause(ask: Ask) -> None:
    asker = await ask([Reply("ok")])
    answers = await asyncio.gather(*(asker.said(f"run-{n}/decide-1") for n in range(50)))
    assert answers == ["ok"] * 50
    assert len({request.conversation for request in asker.model.requests}) == 50


async def test_improvising_calls_the_first_tool_then_answers_with_its_result_in_chat(ask: Ask) -> None:
    asker = await ask()
    tools = [{"type": "function", "function": {"name": "lookup", "parameters": LOOKUP}}]
    completion = await asker.chat(tools=tools)
    call = completion.choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("lookup", {"order_id": "A17"})
    history = [
        {"role": "user", "content": GOAL},
        completion.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "shipped"},
    ]
    assert await asker.said(messages=history, tools=tools) == "(scripted model) shipped"


async def test_improvising_calls_the_first_tool_then_answers_with_its_result_in_responses(ask: Ask) -> None:
    asker = await ask()
    tools = [{"type": "function", "name": "lookup", "parameters": LOOKUP, "strict": False}]
    call = (await asker.respond(tools=tools)).output[0]
    assert (call.name, json.loads(call.arguments)) == ("lookup", {"order_id": "A17"})
    history = [
        {"role": "user", "content": GOAL},
        call.model_dump(exclude_none=True),
        {"type": "function_call_output", "call_id": call.call_id, "output": "y" * 5000},
    ]
    text = (await asker.respond(given=history, tools=tools)).output_text
    assert text.startswith("(scripted model) yyy")
    assert len(text) < 1000


async def test_improvising_without_tools_says_that_no_model_is_configured(ask: Ask) -> None:
    asker = await ask()
    assert await asker.said() == f"(scripted model, no real model is configured) You asked: {GOAL}"


async def eventually(holds: Callable[[], bool]) -> None:
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it did not happen within 10 seconds")
