"""What the model adapter sends, over both APIs."""

import json
from typing import Any

import pytest

from backstay.adapters.model.dialect import DIALECTS, Dialect, Wire, dialect_of
from backstay.adapters.model.openai_request import render, wire_ids
from backstay.contracts.admission import Api, ToolSpec
from backstay.contracts.conversation import Decided, Item, ModelRequest, Observed, Said
from backstay.contracts.decision import Decision, Part, ProposedCall
from backstay.kernel import keys
from backstay.testing import (
    Reply,
    ScriptedModel,
)

from . import asking
from .asking import Opened, call_id

LOOKUP = ToolSpec(
    name="lookup",
    description="Looks up an order.",
    parameters={"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
    digest="d",
    effect="read",
    timeout=10,
)
FIRST, SECOND = keys.wire_id("1-0"), keys.wire_id("1-1")
REASONING: dict[str, Any] = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"}


def a_request(api: Api, *conversation: Item, tools: tuple[ToolSpec, ...] = (LOOKUP,), **changes: Any) -> ModelRequest:
    """A request that offers a tool."""
    return asking.a_request(api, *conversation, tools=tools, **changes)


def decided(text: str | None = None, *calls: tuple[str, str], reasoning: list[dict[str, Any]] | None = None) -> Decided:
    proposed = [ProposedCall(call_id=call_id(i), tool=tool, arguments=args) for i, (tool, args) in enumerate(calls)]
    return Decided(Decision(text=text, calls=proposed, reasoning=reasoning or []))


async def sent(open_one: Opened, request: ModelRequest) -> dict[str, Any]:
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


async def test_a_whole_conversation_is_sent_to_the_responses_api(model: Opened) -> None:
    assert await sent(model, a_request("responses", *CONVERSATION)) == {
        "model": "gpt-6-sol",
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": "where is A17?"},
            REASONING,
            {"type": "message", "role": "assistant", "content": "I look."},
            {"type": "function_call", "call_id": FIRST, "name": "lookup", "arguments": '{"id": "A17"}'},
            {"type": "function_call", "call_id": SECOND, "name": "lookup", "arguments": '{"id": "B2"}'},
            {"type": "function_call_output", "call_id": FIRST, "output": "on its way"},
            {"type": "function_call_output", "call_id": SECOND, "output": "unknown\n\ntwo steps are left"},
            {"type": "message", "role": "assistant", "content": "It is on its way."},
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


async def test_a_whole_conversation_is_sent_to_the_chat_api(model: Opened) -> None:
    def called(id: str, arguments: str) -> dict[str, Any]:
        return {"id": id, "type": "function", "function": {"name": "lookup", "arguments": arguments}}

    assert await sent(model, a_request("chat", *CONVERSATION)) == {
        "model": "gpt-6-sol",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "where is A17?"},
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [called(FIRST, '{"id": "A17"}'), called(SECOND, '{"id": "B2"}')],
            },
            {"role": "tool", "tool_call_id": FIRST, "content": "on its way"},
            {"role": "tool", "tool_call_id": SECOND, "content": "unknown\n\ntwo steps are left"},
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
        "max_completion_tokens": 400,
    }


async def test_the_same_request_is_the_same_bytes(api: Api, model: Opened) -> None:
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
    once, again = (json.dumps(render(request, Dialect())) for request in (there, a_request(api, *back)))
    assert once == again


async def test_without_tools_none_are_offered(api: Api, model: Opened) -> None:
    assert "tools" not in await sent(model, a_request(api, tools=()))


def test_without_instructions_none_are_sent(api: Api) -> None:
    request = a_request(api)
    bare = ModelRequest(
        request.model, "", request.tools, request.conversation, request.max_output_tokens, request.idempotency_key
    )
    body = render(bare, Dialect())
    assert "instructions" not in body
    assert [item["role"] for item in messages_of(api, body)] == ["user"]


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
    dialect = dialect_of("api.openai.com", name, "responses", Wire())
    assert ("include" in render(a_request("responses", name=name), dialect)) is asked


@pytest.mark.parametrize(
    "arguments",
    [
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
async def test_arguments_that_are_no_object_are_sent_as_one(api: Api, model: Opened, arguments: str) -> None:
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
    body = render(a_request(api, decided(None, (proposed, "{}"))), Dialect())
    item = messages_of(api, body)[-1]
    assert (item["tool_calls"][0]["function"] if api == "chat" else item)["name"] == sent_as


def test_an_offered_tool_keeps_its_name_whatever_it_is(api: Api) -> None:
    dotted = LOOKUP.model_copy(update={"name": "shop.lookup"})
    body = render(a_request(api, decided(None, ("shop.lookup", "{}")), tools=(dotted,)), Dialect())
    item = messages_of(api, body)[-1]
    assert (item["tool_calls"][0]["function"] if api == "chat" else item)["name"] == "shop.lookup"


def test_a_decision_that_says_nothing_is_not_sent(api: Api) -> None:
    body = render(a_request(api, Said("go"), decided(None, reasoning=[REASONING]), Said("go on")), Dialect())
    assert [item["content"] for item in messages_of(api, body) if item.get("role") != "system"] == ["go\n\ngo on"]


def test_a_decision_of_calls_alone_has_no_text(api: Api) -> None:
    items = messages_of(api, render(a_request(api, decided(None, ("lookup", "{}"))), Dialect()))
    if api == "chat":
        assert items[-1]["content"] == ""
    else:
        assert [item["type"] for item in items] == ["function_call"]


def test_reasoning_that_only_refers_to_the_providers_store_is_not_sent_back() -> None:
    reference = {"id": "rs_2", "type": "reasoning", "summary": [], "encrypted_content": None}
    open_text = {"id": "rs_3", "type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]}
    body = render(a_request("responses", decided("hi", reasoning=[reference, REASONING, open_text])), Dialect())
    assert body["input"][:2] == [REASONING, {**open_text, "summary": []}]
    assert len(body["input"]) == 3


async def test_text_that_cannot_be_encoded_is_sent_with_marks_in_its_place(api: Api, model: Opened) -> None:
    tool = LOOKUP.model_copy(update={"description": "x\udfff"})
    conversation = (Said("a\ud800"), decided("b\ud800", ("lookup", "{}")), Observed("1-0", "c\udc00"))
    body = await sent(model, a_request(api, *conversation, tools=(tool,)))
    told = json.dumps(body)
    assert all(f'"{text}?"' in told for text in ("a", "b", "c", "x"))


@pytest.mark.parametrize(
    ("key", "header"),
    [("run/größe/decide-1", "run/gr%C3%B6%C3%9Fe/decide-1"), ("a\r\nX: b/decide-1", "a%0D%0AX:%20b/decide-1")],
)
async def test_an_idempotency_key_that_no_header_can_hold_is_escaped(model: Opened, key: str, header: str) -> None:
    request = a_request("chat")
    odd = ModelRequest(request.model, "", (), request.conversation, request.max_output_tokens, key)
    async with ScriptedModel([Reply("ok")]) as server:
        await model(server.base_url).reply(odd, call_id)
        assert server.requests[0].headers["Idempotency-Key"] == header


def proposed(number: int, wire_id: str | None) -> ProposedCall:
    return ProposedCall(call_id=f"1-{number}", tool="lookup", arguments="{}", wire_id=wire_id)


MADE = [keys.wire_id(f"1-{number}") for number in range(4)]


@pytest.mark.parametrize(
    ("given", "sent_as"),
    [
        (["D681PevKs", "functions.lookup:1"], ["D681PevKs", "functions.lookup:1"]),
        ([None, None], MADE[:2]),
        (["same", "same", "same"], ["same", *MADE[1:3]]),
        (["x" * 41, "ok"], [MADE[0], "ok"]),
        (["a\x00b", "a b", ""], MADE[:3]),
        # A server gives another call the id that was made for an earlier one, or will be for a later one.
        ([None, MADE[0]], [MADE[0], MADE[1]]),
        ([MADE[1], None], [MADE[1], keys.wire_id("1-1", 1)]),
    ],
)
def test_a_call_keeps_its_servers_id_where_it_is_fit_and_free(given: list[str | None], sent_as: list[str]) -> None:
    calls = [proposed(number, id) for number, id in enumerate(given)]
    assert list(wire_ids(calls, "[!-~]{1,40}").values()) == sent_as
    assert list(wire_ids(calls[:1], "[!-~]{1,40}").values()) == sent_as[:1]  # later calls change no earlier id


def test_ids_of_another_server_give_way_where_a_server_has_a_grammar() -> None:
    calls = [proposed(0, "call_AbCdEf"), proposed(1, "D681PevKs")]
    assert list(wire_ids(calls, DIALECTS["mistral"].ids).values()) == [MADE[0], "D681PevKs"]


def test_the_result_of_a_call_has_the_calls_id(api: Api) -> None:
    calls = [proposed(0, "same"), proposed(1, "same")]
    told = (Decided(Decision(calls=calls)), Observed("1-0", "a"), Observed("1-1", "b"))
    first, *results = messages_of(api, render(a_request(api, *told), Dialect()))[-3:]
    name = "tool_call_id" if api == "chat" else "call_id"
    assert [result[name] for result in results] == ["same", MADE[1]]
    assert first.get("tool_calls") or first["call_id"] == MADE[1]


NOTES: dict[str, tuple[list[Item], list[tuple[str, str]]]] = {
    "after the goal": ([Said("go"), Said("note")], [("user", "go\n\nnote")]),
    "after a reply that says nothing": ([Said("go"), decided(), Said("note")], [("user", "go\n\nnote")]),
    "after a result": (
        [Said("go"), decided(None, ("lookup", "{}")), Observed("1-0", "a"), Said("one"), Said("two")],
        [("user", "go"), ("assistant", ""), ("tool", "a\n\none\n\ntwo")],
    ),
    "after a text": (
        [Said("go"), decided("hm"), Said("note")],
        [("user", "go"), ("assistant", "hm"), ("user", "note")],
    ),
}


@pytest.mark.parametrize("case", NOTES)
def test_a_note_joins_what_stands_before_it_so_that_roles_alternate(case: str) -> None:
    items, told = NOTES[case]
    messages = render(a_request("chat", *items), Dialect())["messages"][1:]
    assert [(message["role"], message["content"]) for message in messages] == told


def test_a_note_stands_alone_where_the_server_takes_it(api: Api) -> None:
    openai = dialect_of("api.openai.com", "gpt-5", api, Wire())
    told = messages_of(api, render(a_request(api, *NOTES["after a result"][0]), openai))
    assert [item["content"] for item in told[-2:]] == ["one", "two"]


def test_what_a_reply_carried_goes_back_in_its_place() -> None:
    calls = [proposed(0, "a"), proposed(1, "b")]
    on_call = {"extra_content": {"google": {"thought_signature": "S"}}, "function": {"note": "n"}}
    decision = Decision(
        calls=calls,
        parts=[Part(kind="call", extra=on_call), Part(kind="call")],
        extra={"reasoning_content": "T", "reasoning_details": [{"id": None}], "content": [{"type": "thinking"}]},
    )
    request = a_request("chat", Said("go"), Decided(decision))
    message = render(request, Dialect())["messages"][-1]
    assert (message["reasoning_content"], message["reasoning_details"]) == ("T", [{"id": None}])
    assert message["content"] == [{"type": "thinking"}]
    first, second = message["tool_calls"]
    assert (first["extra_content"], first["function"]["note"]) == (on_call["extra_content"], "n")
    assert set(second) == {"id", "type", "function"}
    without = Dialect(withheld=frozenset({"reasoning_details", "extra_content", "note", "content"}))
    message = render(request, without)["messages"][-1]
    assert "reasoning_details" not in message
    assert message["content"] == ""
    assert set(message["tool_calls"][0]) == {"id", "type", "function"}
    assert set(message["tool_calls"][0]["function"]) == {"name", "arguments"}


def test_every_difference_between_servers_is_one_of_the_dialect() -> None:
    told = (Said("go"), decided(None, ("lookup", "{}")), Observed("1-0", "a"))
    chat = render(
        a_request("chat", *told),
        Dialect(
            output_limit="max_tokens",
            tool_name=True,
            empty_content="null",
            reasoning_content=True,
            parallel_tool_calls=False,
        ),
    )
    assert (chat["max_tokens"], chat["parallel_tool_calls"]) == (400, False)
    assert chat["tools"][0]["function"]["strict"] is False
    assert (chat["messages"][-2]["content"], chat["messages"][-2]["reasoning_content"]) == (None, "")
    assert chat["messages"][-1]["name"] == "lookup"
    bare = render(a_request("responses", *told), Dialect(include=False, store=False, strict=False))
    assert {"include", "store", "parallel_tool_calls"} & set(bare) == set()
    assert "strict" not in bare["tools"][0]
    assert "parallel_tool_calls" not in render(a_request("chat", tools=()), Dialect(parallel_tool_calls=True))
