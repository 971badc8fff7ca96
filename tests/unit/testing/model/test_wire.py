"""What the scripted model writes and reads in both APIs, as the official client sees it."""

import json
import math
from typing import cast

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageFunctionToolCall
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage

from backstay.testing import (
    JSON,
    MISSING,
    Call,
    Failure,
    RawUsage,
    Reply,
    ScriptedModel,
    Usage,
)

from .conftest import GOAL, Ask

CALLS = Reply("Let me look.", [Call("lookup", {"order_id": "A17"}), Call("lookup", "{not JSON", id="mine")])


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


async def test_the_list_of_models_names_the_scripted_one(ask: Ask) -> None:
    assert [model.id async for model in (await ask()).client.models.list()] == ["scripted"]
