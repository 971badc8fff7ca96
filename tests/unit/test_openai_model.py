"""The model adapter against a real HTTP server, over both APIs."""

import asyncio
import json
import socket
import traceback
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from backstay.adapters.openai_errors import LONGEST_WAIT, retry_after
from backstay.adapters.openai_model import OpenAIModel
from backstay.adapters.openai_replies import MAX_BYTES
from backstay.adapters.openai_wire import render
from backstay.contracts.admission import Api, ModelSpec, ToolSpec
from backstay.contracts.conversation import Decided, Item, ModelReply, ModelRequest, Observed, Said
from backstay.contracts.decision import BilledUsage, Decision, ProposedCall
from backstay.errors import ModelError
from backstay.testing import (
    MISSING,
    Attempts,
    Call,
    Drip,
    Drop,
    Failure,
    Raw,
    RawUsage,
    Reply,
    ScriptedModel,
    Turn,
    Usage,
)

KEY = "sk-secret-key-of-this-test"
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

    def open_one(base_url: str, timeout: float = 10.0, key: str | None = KEY) -> OpenAIModel:
        opened.append(OpenAIModel(key, base_url, timeout))
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


async def replied(open_one: Callable[..., OpenAIModel], api: Api, turn: Turn, timeout: float = 10.0) -> ModelReply:
    async with ScriptedModel([turn]) as server:
        return await open_one(server.base_url, timeout).reply(a_request(api), call_id)


async def failed(open_one: Callable[..., OpenAIModel], api: Api, turn: Turn, timeout: float = 10.0) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await replied(open_one, api, turn, timeout)
    assert len(str(caught.value)) <= 300
    assert KEY not in "".join(traceback.format_exception(caught.value))
    return caught.value


async def sent(open_one: Callable[..., OpenAIModel], request: ModelRequest) -> dict[str, Any]:
    """The body that arrives at a server."""
    async with ScriptedModel([Reply("ok")]) as server:
        await open_one(server.base_url).reply(request, call_id)
        return json.loads(server.requests[0].raw)


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


def messages_of(api: Api, body: dict[str, Any]) -> list[dict[str, Any]]:
    return body["messages"] if api == "chat" else body["input"]


# what a reply says


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


# the bill


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


# replies that are none


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
    assert error.kind == "unreadable"
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


# requests that fail


@pytest.mark.parametrize(
    ("status", "kind", "retryable", "billed"),
    [
        (400, "refused", False, False),
        (401, "refused", False, False),
        (403, "refused", False, False),
        (404, "refused", False, False),
        (413, "refused", False, False),
        (418, "refused", False, False),
        (422, "refused", False, False),
        (408, "overloaded", True, True),
        (409, "overloaded", True, False),
        (429, "rate_limited", True, False),
        (500, "overloaded", True, True),
        (502, "overloaded", True, True),
        (503, "overloaded", True, True),
        (504, "overloaded", True, True),
        (529, "overloaded", True, True),
    ],
)
async def test_a_status_says_what_to_do_next(
    api: Api, model: Callable[..., OpenAIModel], status: int, kind: str, retryable: bool, billed: bool
) -> None:
    async with ScriptedModel([Failure(status, "this is why", retry_after=1.5)]) as server:
        with pytest.raises(ModelError) as caught:
            await model(server.base_url).reply(a_request(api), call_id)
        assert len(server.requests) == 1
    error = caught.value
    assert (error.kind, error.retryable, error.billed) == (kind, retryable, billed)
    assert str(error) == f"{kind}: HTTP {status}: this is why"
    assert error.retry_after == (1.5 if retryable else None)


async def test_an_exhausted_quota_is_not_worth_a_retry(api: Api, model: Callable[..., OpenAIModel]) -> None:
    error = await failed(model, api, Failure(429, "pay up", code="insufficient_quota", retry_after=1))
    assert (error.kind, error.retryable, error.billed, error.retry_after) == ("refused", False, False, None)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<html><h1>Bad gateway</h1></html>", ""),
        ("no such route", ": no such route"),
        ("", ""),
        ('{"detail": "not here"}', ": not here"),
        ('{"error": "plain"}', ": plain"),
        ('{"object": "error", "message": "vllm"}', ": vllm"),
        ('{"detail": [{"loc": ["body"]}]}', ""),
        ('{"error":' * 200 + '"deep"' + "}" * 200, ""),
    ],
)
async def test_an_error_in_any_shape_is_told(model: Callable[..., OpenAIModel], body: str, said: str) -> None:
    assert str(await failed(model, "chat", Raw(404, body))) == f"refused: HTTP 404{said}"


@pytest.mark.parametrize("shape", ["bad key {key}", "x" * 270 + "{key}", "{key}" * 40, "line\n\nline \ud800 {key}"])
async def test_the_key_is_never_in_an_error(api: Api, model: Callable[..., OpenAIModel], shape: str) -> None:
    error = await failed(model, api, Failure(401, shape.format(key=KEY)))
    assert KEY[:12] not in str(error)
    assert "\n" not in str(error)
    str(error).encode()


async def test_the_key_is_not_in_an_error_of_a_reply(api: Api, model: Callable[..., OpenAIModel]) -> None:
    assert "[key]" in str(await failed(model, api, Raw(200, json.dumps({"error": {"message": f"no {KEY}"}}))))


@pytest.mark.parametrize("key", ["sk-line\nbreak", "sk-ümlaut"])
async def test_a_key_that_no_header_can_hold_is_refused_without_being_told(
    api: Api, model: Callable[..., OpenAIModel], key: str
) -> None:
    with pytest.raises(ModelError) as caught:
        await model("http://127.0.0.1:9/v1", key=key).reply(a_request(api), call_id)
    assert (caught.value.kind, caught.value.retryable, caught.value.billed) == ("refused", False, False)
    told = "".join(traceback.format_exception(caught.value))
    assert "sk-line" not in told
    assert "sk-ü" not in told


async def test_a_key_is_used_without_the_newline_of_its_file(model: Callable[..., OpenAIModel]) -> None:
    async with ScriptedModel([Reply("ok")]) as server:
        await model(server.base_url, key="sk-1\n").reply(a_request("chat"), call_id)
        assert server.requests[0].headers["Authorization"] == "Bearer sk-1"


@pytest.mark.parametrize("key", [None, ""])
async def test_a_local_server_needs_no_key_and_gets_none_of_the_environment(
    model: Callable[..., OpenAIModel], monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with ScriptedModel([Reply("none of it")]) as server:
        reply = await model(server.base_url, key=key).reply(a_request("chat"), call_id)
        assert server.requests[0].headers["Authorization"] == "Bearer none"
    assert reply.decision.text == "none of it"


async def test_without_a_key_and_an_address_the_request_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ModelError, match="OPENAI_API_KEY") as caught:
        await OpenAIModel(None, None).reply(a_request("chat"), call_id)
    assert (caught.value.kind, caught.value.retryable, caught.value.billed) == ("refused", False, False)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
async def test_a_server_that_is_not_there_is_unreachable_and_unbilled(
    api: Api, model: Callable[..., OpenAIModel], host: str
) -> None:
    port = closed_port()
    with pytest.raises(ModelError) as caught:
        await model(f"http://{host}:{port}/v1").reply(a_request(api), call_id)
    assert (caught.value.kind, caught.value.retryable, caught.value.billed) == ("unreachable", True, False)
    assert f"`{host}:{port}`" in str(caught.value)


@pytest.mark.parametrize("base_url", ["ftp://example.invalid/v1", "not an address"])
async def test_an_address_of_no_use_is_refused(model: Callable[..., OpenAIModel], base_url: str) -> None:
    with pytest.raises(ModelError) as caught:
        await model(base_url).reply(a_request("chat"), call_id)
    assert (caught.value.kind, caught.value.retryable, caught.value.billed) == ("refused", False, False)


@pytest.mark.parametrize("turn", [Drop(), Drop(after_bytes=40)])
async def test_a_connection_that_breaks_loses_the_reply(
    api: Api, model: Callable[..., OpenAIModel], turn: Drop
) -> None:
    error = await failed(model, api, turn)
    assert (error.kind, error.retryable, error.billed) == ("lost", True, True)


@pytest.mark.parametrize("turn", [Drip(20), Reply("late", delay=20)])
async def test_a_reply_that_takes_too_long_in_all_times_out(
    api: Api, model: Callable[..., OpenAIModel], turn: Turn
) -> None:
    start = asyncio.get_running_loop().time()
    error = await failed(model, api, turn, timeout=0.4)
    assert asyncio.get_running_loop().time() - start < 5
    assert (error.kind, error.retryable, error.billed) == ("timeout", True, True)


async def test_a_slow_reply_within_the_limit_is_read(api: Api, model: Callable[..., OpenAIModel]) -> None:
    assert (await replied(model, api, Drip(0.2, Reply("slow")))).decision.text == "slow"


async def test_a_body_that_is_not_compressed_as_it_claims_is_unreadable(model: Callable[..., OpenAIModel]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nwhat")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ModelError) as caught:
            await model(f"http://127.0.0.1:{port}/v1").reply(a_request("chat"), call_id)
    assert (caught.value.kind, caught.value.retryable, caught.value.billed) == ("unreadable", True, True)


async def test_cancelling_a_request_closes_its_connection(api: Api, model: Callable[..., OpenAIModel]) -> None:
    async with ScriptedModel([Reply("never", delay=30)]) as server:
        task = asyncio.create_task(model(server.base_url).reply(a_request(api), call_id))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            while not server.cancelled:
                await asyncio.sleep(0.01)


async def test_a_failed_attempt_does_not_spoil_the_next(api: Api, model: Callable[..., OpenAIModel]) -> None:
    turns = (Failure(500), Drop(), Raw(200, "x" * 2 * MAX_BYTES), Reply("at last"))
    async with ScriptedModel([Attempts(*turns)]) as server:
        one = model(server.base_url)
        for _ in range(3):
            with pytest.raises(ModelError):
                await one.reply(a_request(api), call_id)
        assert (await one.reply(a_request(api), call_id)).decision.text == "at last"
        assert [request.attempt for request in server.requests] == [1, 2, 3, 4]


async def test_a_closed_model_can_be_used_again(model: Callable[..., OpenAIModel]) -> None:
    async with ScriptedModel([Reply("one"), Reply("two")]) as server:
        one = model(server.base_url)
        await one.reply(a_request("chat"), call_id)
        await one.close()
        await one.close()
        assert (await one.reply(a_request("chat", step=2), call_id)).decision.text == "two"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "150", "retry-after": "9"}, 0.15),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "86400"}, LONGEST_WAIT),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 -0000"}, 0.0),
    ],
)
def test_the_wait_a_provider_asks_for_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_wait_until_a_date_is_read() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=2), usegmt=True)
    wait = retry_after({"retry-after": date})
    assert wait is not None
    assert 110 < wait <= 120


# what is sent


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
    [("run/größe/decide-1", "run/gr%C3%B6%C3%9Fe/decide-1"), ("a\r\nX: b/decide-1", "a%0D%0AX: b/decide-1")],
)
async def test_an_idempotency_key_that_no_header_can_hold_is_escaped(
    model: Callable[..., OpenAIModel], key: str, header: str
) -> None:
    request = a_request("chat")
    odd = ModelRequest(request.model, "", (), request.conversation, request.max_output_tokens, key)
    async with ScriptedModel([Reply("ok")]) as server:
        await model(server.base_url).reply(odd, call_id)
        assert server.requests[0].headers["Idempotency-Key"] == header
