"""What the model adapter sends, over both APIs."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from backstay.adapters.model.openai import OpenAIModel
from backstay.adapters.model.openai_request import render
from backstay.contracts.admission import Api, ModelSpec, ToolSpec
from backstay.contracts.conversation import Decided, Item, ModelRequest, Observed, Said
from backstay.contracts.decision import Decision, ProposedCall
from backstay.testing import (
    Reply,
    ScriptedModel,
)

APIS: list[Api] = ["chat", "responses"]
LOOKUP = ToolSpec(
    name="lookup",
    description="Looks up an order.",
    parameters={"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
    digest="d",
    effect="read",
    timeout=10,
)
REASONING: dict[str, Any] = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"}


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest) -> Api:
    return request.param


@pytest.fixture
async def model() -> AsyncIterator[Callable[..., OpenAIModel]]:
    """Opens adapters that are closed after the test."""
    opened: list[OpenAIModel] = []

    def open_one(base_url: str) -> OpenAIModel:
        opened.append(OpenAIModel(None, base_url, timeout=10.0))
        return opened[-1]

    yield open_one
    for one in opened:
        await one.close()


def a_request(
    api: Api, *conversation: Item, name: str = "gpt-6-sol", tools: tuple[ToolSpec, ...] = (LOOKUP,), step: int = 1
) -> ModelRequest:
    return ModelRequest(
        model=ModelSpec(name=name, api=api, max_output_tokens=500, give_up_after=60, price=None),
        instructions="Be brief.",
        tools=tools,
        conversation=conversation or (Said("where is A17?"),),
        max_output_tokens=400,
        idempotency_key=f"run-1/decide-{step}",
    )


def call_id(index: int) -> str:
    return f"1-{index}"


def decided(text: str | None = None, *calls: tuple[str, str], reasoning: list[dict[str, Any]] | None = None) -> Decided:
    proposed = [ProposedCall(call_id=call_id(i), tool=tool, arguments=args) for i, (tool, args) in enumerate(calls)]
    return Decided(Decision(text=text, calls=proposed, reasoning=reasoning or []))


async def sent(open_one: Callable[..., OpenAIModel], request: ModelRequest) -> dict[str, Any]:
    """The body that arrives at a server."""
    async with ScriptedModel([Reply("ok")]) as server:
        await open_one(server.base_url).reply(request, call_id)
        return json.loads(server.requests[0].raw)


def messages_of(api: Api, body: dict[str, Any]) -> list[dict[str, Any]]:
    return body["messages"] if api == "chat" else body["input"]


CONVERSATION: tuple[Item, ...] = (
    Said("where is A17?"),
    decided("I look.", ("lookup", '{"id": "A17"}'), ("lookup", '{"id": "B2"}'), reasoning=[REASONING]),
    Observed("1-0", "on its way"),
    Observed("1-1", "unknown"),
    Said("two steps are left"),
    decided("It is on its way."),
)


async def test_a_whole_conversation_is_sent_to_the_responses_api(model: Callable[..., OpenAIModel]) -> None:
    assert await sent(model, a_request("responses", *CONVERSATION)) == {
        "model": "gpt-6-sol",
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": "where is A17?"},
            REASONING,
            {"role": "assistant", "content": "I look."},
            {"type": "function_call", "call_id": "1-0", "name": "lookup", "arguments": '{"id": "A17"}'},
            {"type": "function_call", "call_id": "1-1", "name": "lookup", "arguments": '{"id": "B2"}'},
            {"type": "function_call_output", "call_id": "1-0", "output": "on its way"},
            {"type": "function_call_output", "call_id": "1-1", "output": "unknown"},
            {"role": "user", "content": "two steps are left"},
            {"role": "assistant", "content": "It is on its way."},
        ],
        "tools": [
            {
                "type": "function",
                "name": "lookup",
                "description": "Looks up an order.",
                "parameters": LOOKUP.parameters,
                "strict": False,
            }
        ],
        "max_output_tokens": 400,
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }


async def test_a_whole_conversation_is_sent_to_the_chat_api(model: Callable[..., OpenAIModel]) -> None:
    def called(number: int, arguments: str) -> dict[str, Any]:
        return {"id": call_id(number), "type": "function", "function": {"name": "lookup", "arguments": arguments}}

    assert await sent(model, a_request("chat", *CONVERSATION)) == {
        "model": "gpt-6-sol",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "where is A17?"},
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [called(0, '{"id": "A17"}'), called(1, '{"id": "B2"}')],
            },
            {"role": "tool", "tool_call_id": "1-0", "content": "on its way"},
            {"role": "tool", "tool_call_id": "1-1", "content": "unknown"},
            {"role": "user", "content": "two steps are left"},
            {"role": "assistant", "content": "It is on its way."},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "lookup",
                    "description": "Looks up an order.",
                    "parameters": LOOKUP.parameters,
                },
            }
        ],
        "max_tokens": 400,
    }


async def test_the_same_request_is_the_same_bytes(api: Api, model: Callable[..., OpenAIModel]) -> None:
    async with ScriptedModel([Reply("ok")]) as server:
        for _ in range(2):
            await model(server.base_url).reply(a_request(api, *CONVERSATION), call_id)
        first, second = server.requests
    assert first.raw == second.raw
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] == "run-1/decide-1"


async def test_a_decision_read_back_from_json_is_the_same_bytes(api: Api) -> None:
    there = a_request(api, *CONVERSATION)
    back = tuple(
        Decided(Decision.model_validate_json(item.decision.model_dump_json())) if isinstance(item, Decided) else item
        for item in CONVERSATION
    )
    once, again = (json.dumps(render(request, newest=False)) for request in (there, a_request(api, *back)))
    assert once == again


async def test_without_tools_none_are_offered(api: Api, model: Callable[..., OpenAIModel]) -> None:
    assert "tools" not in await sent(model, a_request(api, tools=()))


def test_without_instructions_none_are_sent(api: Api) -> None:
    request = a_request(api)
    bare = ModelRequest(
        request.model, "", request.tools, request.conversation, request.max_output_tokens, request.idempotency_key
    )
    body = render(bare, newest=False)
    assert "instructions" not in body
    assert [item["role"] for item in messages_of(api, body)] == ["user"]


@pytest.mark.parametrize(("newest", "name"), [(True, "max_completion_tokens"), (False, "max_tokens")])
def test_the_limit_of_a_chat_reply_goes_by_the_name_the_server_knows(newest: bool, name: str) -> None:
    body = render(a_request("chat"), newest=newest)
    assert body[name] == 400
    assert len({"max_tokens", "max_completion_tokens"} & set(body)) == 1


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("gpt-4o-mini", False),
        ("ft:gpt-4.1-2025-04-14:acme::x", False),
        ("openai/gpt-4o", False),
        ("chatgpt-4o-latest", False),
        ("gpt-5", True),
        ("o3", True),
        ("local-model", True),
    ],
)
def test_reasoning_is_not_asked_of_models_that_refuse_to_be_asked(name: str, asked: bool) -> None:
    assert ("include" in render(a_request("responses", name=name), newest=True)) is asked


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "not JSON",
        "[1]",
        '{"id": "A',
        '{"id": NaN}',
        '{"id": 1e999}',
        '{"id": "\\ud800"}',
        '{"id": 1, "id": 2}',
        "\ud800" * 300,
        "{" * 100_000,
    ],
)
async def test_arguments_that_are_no_object_are_sent_as_one(
    api: Api, model: Callable[..., OpenAIModel], arguments: str
) -> None:
    conversation = (Said("go"), decided(None, ("lookup", arguments)), Observed("1-0", "refused"))
    item = messages_of(api, await sent(model, a_request(api, *conversation)))[2 if api == "chat" else 1]
    call = item["tool_calls"][0]["function"] if api == "chat" else item
    assert json.loads(call["arguments"]) == {"_invalid_arguments": arguments[:200].replace("\ud800", "?")}


@pytest.mark.parametrize(
    ("proposed", "sent_as"),
    [
        ("lookup", "lookup"),
        ("functions.lookup", "functions_lookup"),
        ("größe ", "gr__e_"),
        ("", "_"),
        ("n" * 99, "n" * 64),
    ],
)
def test_a_tool_name_the_model_made_up_is_sent_as_one_the_apis_allow(api: Api, proposed: str, sent_as: str) -> None:
    body = render(a_request(api, decided(None, (proposed, "{}"))), newest=True)
    item = messages_of(api, body)[-1]
    assert (item["tool_calls"][0]["function"] if api == "chat" else item)["name"] == sent_as


def test_an_offered_tool_keeps_its_name_whatever_it_is(api: Api) -> None:
    dotted = LOOKUP.model_copy(update={"name": "shop.lookup"})
    body = render(a_request(api, decided(None, ("shop.lookup", "{}")), tools=(dotted,)), newest=True)
    item = messages_of(api, body)[-1]
    assert (item["tool_calls"][0]["function"] if api == "chat" else item)["name"] == "shop.lookup"


def test_a_decision_that_says_nothing_is_not_sent(api: Api) -> None:
    body = render(a_request(api, Said("go"), decided(None, reasoning=[REASONING]), Said("go on")), newest=True)
    assert [item["content"] for item in messages_of(api, body) if item.get("role") != "system"] == ["go", "go on"]


def test_a_decision_of_calls_alone_has_no_text(api: Api) -> None:
    items = messages_of(api, render(a_request(api, decided(None, ("lookup", "{}"))), newest=True))
    if api == "chat":
        assert items[-1]["content"] is None
    else:
        assert [item["type"] for item in items] == ["function_call"]


def test_reasoning_that_only_refers_to_the_providers_store_is_not_sent_back() -> None:
    reference = {"id": "rs_2", "type": "reasoning", "summary": [], "encrypted_content": None}
    open_text = {"id": "rs_3", "type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]}
    body = render(a_request("responses", decided("hi", reasoning=[reference, REASONING, open_text])), newest=True)
    assert body["input"][:2] == [REASONING, open_text]
    assert len(body["input"]) == 3


async def test_text_that_cannot_be_encoded_is_sent_with_marks_in_its_place(
    api: Api, model: Callable[..., OpenAIModel]
) -> None:
    tool = LOOKUP.model_copy(update={"description": "x\udfff"})
    conversation = (Said("a\ud800"), decided("b\ud800", ("lookup", "{}")), Observed("1-0", "c\udc00"))
    body = await sent(model, a_request(api, *conversation, tools=(tool,)))
    told = json.dumps(body)
    assert all(f'"{text}?"' in told for text in ("a", "b", "c", "x"))


@pytest.mark.parametrize(
    ("key", "header"),
    [("run/größe/decide-1", "run/gr%C3%B6%C3%9Fe/decide-1"), ("a\r\nX: b/decide-1", "a%0D%0AX:%20b/decide-1")],
)
async def test_an_idempotency_key_that_no_header_can_hold_is_escaped(
    model: Callable[..., OpenAIModel], key: str, header: str
) -> None:
    request = a_request("chat")
    odd = ModelRequest(request.model, "", (), request.conversation, request.max_output_tokens, key)
    async with ScriptedModel([Reply("ok")]) as server:
        await model(server.base_url).reply(odd, call_id)
        assert server.requests[0].headers["Idempotency-Key"] == header
