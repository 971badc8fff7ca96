"""What the model adapter reads in replies, over both APIs and real HTTP."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from backstay.adapters.model.openai import MAX_BYTES, OpenAIModel
from backstay.contracts.admission import Api, ModelSpec
from backstay.contracts.conversation import ModelReply, ModelRequest, Said
from backstay.contracts.decision import BilledUsage, Decision, ProposedCall
from backstay.errors import ModelError
from backstay.testing import (
    MISSING,
    Call,
    Raw,
    RawUsage,
    Reply,
    ScriptedModel,
    Turn,
    Usage,
)

APIS: list[Api] = ["chat", "responses"]
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


def a_request(api: Api) -> ModelRequest:
    return ModelRequest(
        model=ModelSpec(name="gpt-6-sol", api=api, max_output_tokens=500, give_up_after=60, price=None),
        instructions="Be brief.",
        tools=(),
        conversation=(Said("where is A17?"),),
        max_output_tokens=400,
        idempotency_key="run-1/decide-1",
    )


def call_id(index: int) -> str:
    return f"1-{index}"


async def replied(open_one: Callable[..., OpenAIModel], api: Api, turn: Turn) -> ModelReply:
    async with ScriptedModel([turn]) as server:
        return await open_one(server.base_url).reply(a_request(api), call_id)


async def failed(open_one: Callable[..., OpenAIModel], api: Api, turn: Turn) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await replied(open_one, api, turn)
    assert len(str(caught.value)) <= 300
    return caught.value


def whole(api: Api, **changes: Any) -> Raw:
    """A reply of either API with its fields replaced; `message` and `choice` reach into the chat reply."""
    if api == "chat":
        message = {"role": "assistant", "content": "hi"} | changes.pop("message", {})
        choice = {"index": 0, "finish_reason": "stop", "message": message} | changes.pop("choice", {})
        return Raw(200, json.dumps({"model": "scripted", "choices": [choice]} | changes))
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}
    return Raw(200, json.dumps({"model": "scripted", "status": "completed", "output": [said]} | changes))


def with_calls(api: Api, *calls: dict[str, Any]) -> Raw:
    """A reply with calls as a server may write them; each has a name and arguments, perhaps an id."""
    if api == "chat":
        listed = [{"type": "function", "id": call.pop("id", None), "function": call} for call in calls]
        return whole(api, message={"content": None, "tool_calls": listed})
    return whole(api, output=[{"type": "function_call", "call_id": call.pop("id", None), **call} for call in calls])


async def test_text_is_read(api: Api, model: Callable[..., OpenAIModel]) -> None:
    reply = await replied(model, api, Reply("It left on Monday.", usage=Usage(100, 20, cached_tokens=60)))
    assert reply.decision == Decision(text="It left on Monday.")
    assert reply.usage == BilledUsage(input_tokens=100, output_tokens=20, cached_tokens=60)
    assert reply.model == "scripted"


async def test_a_call_is_read_with_its_arguments_as_written(api: Api, model: Callable[..., OpenAIModel]) -> None:
    reply = await replied(model, api, Reply(calls=[Call("lookup", '{"id" : "A17"')]))
    assert reply.decision.calls == [ProposedCall(call_id="1-0", tool="lookup", arguments='{"id" : "A17"')]
    assert reply.decision.text is None


async def test_parallel_calls_keep_their_order_and_get_ids_of_their_own(
    api: Api, model: Callable[..., OpenAIModel]
) -> None:
    calls = [Call("lookup", {"id": str(number)}, id="same") for number in range(3)]
    reply = await replied(model, api, Reply("I look.", calls=calls))
    assert [call.call_id for call in reply.decision.calls] == ["1-0", "1-1", "1-2"]
    assert [json.loads(call.arguments)["id"] for call in reply.decision.calls] == ["0", "1", "2"]
    assert reply.decision.text == "I look."


async def test_calls_without_ids_are_read(api: Api, model: Callable[..., OpenAIModel]) -> None:
    reply = await replied(model, api, with_calls(api, {"name": "lookup", "arguments": "{}"}))
    assert [call.call_id for call in reply.decision.calls] == ["1-0"]


async def test_arguments_sent_as_an_object_become_text(api: Api, model: Callable[..., OpenAIModel]) -> None:
    reply = await replied(model, api, with_calls(api, {"name": "lookup", "arguments": {"id": "größe"}}))
    assert reply.decision.calls[0].arguments == '{"id": "größe"}'


async def test_overlong_names_and_arguments_are_cut(api: Api, model: Callable[..., OpenAIModel]) -> None:
    reply = await replied(model, api, with_calls(api, {"name": "n" * 900, "arguments": "a" * 400_000}))
    assert len(reply.decision.calls[0].tool) == 200
    assert len(reply.decision.calls[0].arguments) == 300_000


async def test_at_most_five_hundred_calls_are_kept(api: Api, model: Callable[..., OpenAIModel]) -> None:
    reply = await replied(model, api, with_calls(api, *({"name": "x", "arguments": "{}"} for _ in range(600))))
    assert len(reply.decision.calls) == 500


@pytest.mark.parametrize(("finish", "read"), [("length", "length"), ("content_filter", "filtered"), (None, "stop")])
async def test_how_a_reply_ended_is_read(
    api: Api, model: Callable[..., OpenAIModel], finish: str | None, read: str
) -> None:
    reply = await replied(model, api, Reply("part", calls=[Call("lookup", '{"id": "A')], finish=finish))
    assert reply.decision.finish == read


@pytest.mark.parametrize("text", [None, "", " \n\t "])
async def test_an_empty_reply_has_no_text(api: Api, model: Callable[..., OpenAIModel], text: str | None) -> None:
    assert (await replied(model, api, Reply(text))).decision == Decision()


async def test_a_refusal_is_text(api: Api, model: Callable[..., OpenAIModel]) -> None:
    part = {"type": "refusal", "refusal": "I will not."}
    turn = (
        whole(api, message={"content": None, "refusal": "I will not."})
        if api == "chat"
        else whole(api, output=[{"type": "message", "content": [part]}])
    )
    assert (await replied(model, api, turn)).decision.text == "I will not."


async def test_content_in_parts_is_joined(model: Callable[..., OpenAIModel]) -> None:
    parts = [{"type": "text", "text": "one "}, {"type": "thinking"}, {"type": "text", "text": "two"}]
    assert (await replied(model, "chat", whole("chat", message={"content": parts}))).decision.text == "one two"


async def test_several_messages_of_one_response_are_paragraphs(model: Callable[..., OpenAIModel]) -> None:
    output = [{"type": "message", "content": [{"type": "output_text", "text": text}]} for text in ("one", "two")]
    assert (await replied(model, "responses", whole("responses", output=output))).decision.text == "one\n\ntwo"


async def test_reasoning_is_kept_verbatim(model: Callable[..., OpenAIModel]) -> None:
    output = [REASONING, {"type": "function_call", "call_id": "x", "name": "lookup", "arguments": "{}"}]
    decision = (await replied(model, "responses", whole("responses", output=output))).decision
    assert decision.reasoning == [REASONING]
    assert len(decision.calls) == 1


async def test_output_of_a_kind_nobody_asked_for_is_passed_over(model: Callable[..., OpenAIModel]) -> None:
    turn = whole("responses", output=[{"type": "web_search_call", "id": "ws_1"}])
    assert (await replied(model, "responses", turn)).decision == Decision()


async def test_lone_surrogates_are_replaced(api: Api, model: Callable[..., OpenAIModel]) -> None:
    reply = await replied(model, api, Reply("a\ud800b", calls=[Call("look\udfffup", '{"id": "\udc00"}')]))
    assert reply.decision.text == "a?b"
    assert reply.decision.calls[0].tool == "look?up"
    assert reply.decision.calls[0].arguments == '{"id": "?"}'
    assert reply.decision.model_dump_json()


async def test_lone_surrogates_in_reasoning_are_replaced(model: Callable[..., OpenAIModel]) -> None:
    output = [{"type": "reasoning", "content": [{"text\ud800": "\udc00"}]}]
    decision = (await replied(model, "responses", whole("responses", output=output))).decision
    assert decision.reasoning == [{"type": "reasoning", "content": [{"text?": "?"}]}]


def usage(api: Api, read: Any, written: Any, cached: Any = 0) -> RawUsage:
    names = ("prompt_tokens", "completion_tokens") if api == "chat" else ("input_tokens", "output_tokens")
    return RawUsage({names[0]: read, names[1]: written, f"{names[0]}_details": {"cached_tokens": cached}})


@pytest.mark.parametrize(
    ("read", "written", "cached"),
    [
        (-1, 5, 0),
        (10, -5, 0),
        (10, 5, -1),
        (10, 5, 11),
        (None, 5, 0),
        (10, None, 0),
        ("10", 5, 0),
        (10, 5, "3"),
        (10.0, 5, 0),
        (10, 5.5, 0),
        (True, 5, 0),
        (10, False, 0),
        (10, 5, True),
        (float("nan"), 5, 0),
        (10, float("inf"), 0),
        (10**15 + 1, 5, 0),
        (10, 10**300, 0),
        (10, 5, {}),
    ],
)
async def test_a_bill_that_makes_no_sense_is_none(
    api: Api, model: Callable[..., OpenAIModel], read: Any, written: Any, cached: Any
) -> None:
    reply = await replied(model, api, Reply("hi", usage=usage(api, read, written, cached)))
    assert reply.usage is None
    assert reply.decision.text == "hi"


@pytest.mark.parametrize("value", [MISSING, None, [], "free", 0, {}, {"total_tokens": 7}])
async def test_a_bill_of_another_shape_is_none(api: Api, model: Callable[..., OpenAIModel], value: Any) -> None:
    assert (await replied(model, api, Reply("hi", usage=RawUsage(value)))).usage is None


async def test_a_number_too_long_to_be_one_costs_the_bill_alone(api: Api, model: Callable[..., OpenAIModel]) -> None:
    good = json.loads(whole(api).body) | {"usage": "LIE"}
    name = "prompt_tokens" if api == "chat" else "input_tokens"
    turn = Raw(200, json.dumps(good).replace('"LIE"', f'{{"{name}": {"9" * 5000}}}'))
    reply = await replied(model, api, turn)
    assert reply.usage is None
    assert reply.decision.text == "hi"


async def test_details_that_are_no_object_spoil_the_bill(api: Api, model: Callable[..., OpenAIModel]) -> None:
    lie = usage(api, 10, 5).value
    assert isinstance(lie, dict)
    lie = {name: "none" if name.endswith("_details") else value for name, value in lie.items()}
    assert (await replied(model, api, Reply("hi", usage=RawUsage(lie)))).usage is None


@pytest.mark.parametrize("details", [None, {}, {"cached_tokens": None}, MISSING])
async def test_a_bill_without_details_has_nothing_cached(
    api: Api, model: Callable[..., OpenAIModel], details: Any
) -> None:
    names = ("prompt_tokens", "completion_tokens") if api == "chat" else ("input_tokens", "output_tokens")
    value: dict[str, Any] = {names[0]: 10, names[1]: 10**15}
    if details is not MISSING:
        value[f"{names[0]}_details"] = details
    reply = await replied(model, api, Reply("hi", usage=RawUsage(value)))
    assert reply.usage == BilledUsage(input_tokens=10, output_tokens=10**15)


@pytest.mark.parametrize(
    "turn",
    [
        Raw(200, "<html>Sign in</html>", content_type="text/html"),
        Raw(200, ""),
        Raw(200, "null"),
        Raw(200, "[]"),
        Raw(200, "{}"),
        Raw(200, '{"choices": null, "output": null}'),
        Raw(200, '{"choices": []}'),
        Raw(200, '{"choices": [{}], "output": [{"type": "message", "content": 7}]}'),
        Raw(200, '{"choices": [{"message": {"content": 7}}], "output": [{"type": "function_call"}]}'),
        Raw(200, '{"choices": [{"message": {"tool_calls": [{"id": "x"}]}}], "output": ["x"]}'),
        Raw(200, b"\xff\xfe\xff"),
        Raw(200, '{"choices": ' + "[" * 100_000),
        Raw(200, '{"output": ' + "[" * 100 + "]" * 100 + "}"),
    ],
)
async def test_a_body_that_is_no_reply_is_unreadable(api: Api, model: Callable[..., OpenAIModel], turn: Raw) -> None:
    error = await failed(model, api, turn)
    assert (error.kind, error.retryable, error.billed) == ("unreadable", True, True)


async def test_a_body_beyond_the_limit_is_unreadable(api: Api, model: Callable[..., OpenAIModel]) -> None:
    error = await failed(model, api, Raw(200, whole(api).body + " " * MAX_BYTES))  # type: ignore[operator]
    assert (error.kind, error.retryable, error.billed) == ("unreadable", True, True)


async def test_an_error_in_place_of_choices_is_quoted(model: Callable[..., OpenAIModel]) -> None:
    error = await failed(model, "chat", Raw(200, '{"error": {"message": "upstream is gone", "code": 502}}'))
    assert error.kind == "overloaded"
    assert "upstream is gone" in str(error)


async def test_a_choice_that_ended_in_an_error_is_lost(model: Callable[..., OpenAIModel]) -> None:
    error = await failed(model, "chat", whole("chat", choice={"finish_reason": "error"}))
    assert (error.kind, error.retryable, error.billed) == ("lost", True, True)


@pytest.mark.parametrize(
    ("changes", "kind", "retryable"),
    [
        ({"error": {"code": "server_error", "message": "broke"}}, "overloaded", True),
        ({"error": {"code": "rate_limit_exceeded", "message": "slow"}}, "rate_limited", True),
        ({"error": {"code": "vector_store_timeout", "message": "hm"}}, "lost", True),
        ({"error": {"code": "invalid_prompt", "message": "no"}}, "refused", False),
        ({"error": "text"}, "lost", True),
        ({"error": None}, "lost", True),
    ],
)
async def test_a_response_that_failed_is_an_error_that_may_have_been_billed(
    model: Callable[..., OpenAIModel], changes: dict[str, Any], kind: str, retryable: bool
) -> None:
    error = await failed(model, "responses", whole("responses", status="failed", **changes))
    assert (error.kind, error.retryable, error.billed) == (kind, retryable, True)


@pytest.mark.parametrize(("reason", "finish"), [("content_filter", "filtered"), ("other", "length"), (None, "length")])
async def test_an_incomplete_response_was_cut_whatever_the_reason(
    model: Callable[..., OpenAIModel], reason: str | None, finish: str
) -> None:
    turn = whole("responses", status="incomplete", incomplete_details={"reason": reason} if reason else None)
    assert (await replied(model, "responses", turn)).decision.finish == finish
