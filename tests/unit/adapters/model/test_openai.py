"""The model adapter against a real HTTP server that fails in every way, over both APIs."""

import asyncio
import dataclasses
import json
import socket
import traceback
from collections.abc import Callable

import httpx2
import openai
import pytest

from backstay.adapters.model.dialect import Parameters, Wire
from backstay.adapters.model.openai import MAX_BYTES, OpenAIModel
from backstay.adapters.model.openai_errors import as_model_error
from backstay.contracts.admission import Api
from backstay.contracts.decision import BilledUsage, Decision
from backstay.errors import ModelError
from backstay.testing import (
    Attempts,
    Drip,
    Drop,
    Failure,
    Raw,
    Reply,
    Request,
    ScriptedModel,
    Turn,
)

from .asking import KEY, Opened, a_request, call_id, failed, replied

LOCAL = "http://127.0.0.1:8080/v1"


async def eventually(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within 5 seconds")


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
    api: Api, model: Opened, status: int, kind: str, retryable: bool, billed: bool
) -> None:
    async with ScriptedModel([Failure(status, "this is why", retry_after=1.5)]) as server:
        with pytest.raises(ModelError) as caught:
            await model(server.base_url).reply(a_request(api), call_id)
        assert len(server.requests) == 1
    error = caught.value
    assert (error.kind, error.retryable, error.billed) == (kind, retryable, billed)
    assert str(error) == f"{kind}: HTTP {status}: this is why"
    assert error.retry_after == (1.5 if retryable else None)


async def test_an_exhausted_quota_is_not_worth_a_retry(api: Api, model: Opened) -> None:
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
async def test_an_error_in_any_shape_is_told(model: Opened, body: str, said: str) -> None:
    assert str(await failed(model, "chat", Raw(404, body))) == f"refused: HTTP 404{said}"


@pytest.mark.parametrize("shape", ["bad key {key}", "x" * 270 + "{key}", "{key}" * 40, "line\n\nline \ud800 {key}"])
async def test_the_key_is_never_in_an_error(api: Api, model: Opened, shape: str) -> None:
    error = await failed(model, api, Failure(401, shape.format(key=KEY)))
    assert KEY[:12] not in str(error)
    assert "\n" not in str(error)
    str(error).encode()


async def test_the_key_is_not_in_an_error_of_a_reply(api: Api, model: Opened) -> None:
    assert "[key]" in str(await failed(model, api, Raw(200, json.dumps({"error": {"message": f"no {KEY}"}}))))


BAD_CALL = {"code": "tool_use_failed", "message": f"Failed, says {KEY}.", "failed_generation": "<function"}


@pytest.mark.parametrize("status", [200, 400, 422, 500])
async def test_an_error_over_a_bad_call_is_a_reply_without_the_key(api: Api, model: Opened, status: int) -> None:
    reply = await replied(model, api, Raw(status, json.dumps({"error": BAD_CALL})))
    assert reply.usage is None
    assert reply.decision == Decision(
        problem="your tool call could not be read, and nothing was executed (Failed, says [key].)"
    )


@pytest.mark.parametrize("inside", [True, False])
async def test_the_bill_of_a_bad_call_is_read(api: Api, model: Opened, inside: bool) -> None:
    names = ("prompt_tokens", "completion_tokens") if api == "chat" else ("input_tokens", "output_tokens")
    bill = {"usage": dict(zip(names, (70, 5), strict=True))}
    sent = {"error": {**BAD_CALL, **bill}} if inside else {"error": BAD_CALL, **bill}
    reply = await replied(model, api, Raw(400, json.dumps(sent)))
    assert reply.usage == BilledUsage(input_tokens=70, output_tokens=5)


@pytest.mark.parametrize("key", ["sk-line\nbreak", "sk-ümlaut"])
async def test_a_key_that_no_header_can_hold_is_refused_without_being_told(api: Api, model: Opened, key: str) -> None:
    async with ScriptedModel() as server:
        with pytest.raises(ModelError) as caught:
            await model(server.base_url, key=key).reply(a_request(api), call_id)
        assert not server.requests
    assert (caught.value.kind, caught.value.retryable, caught.value.billed) == ("refused", False, False)
    told = "".join(traceback.format_exception(caught.value))
    assert "sk-line" not in told
    assert "sk-ü" not in told


async def test_a_key_is_used_without_the_newline_of_its_file(model: Opened) -> None:
    async with ScriptedModel([Reply("ok")]) as server:
        await model(server.base_url, key="sk-1\n").reply(a_request("chat"), call_id)
        assert server.requests[0].headers["Authorization"] == "Bearer sk-1"


@pytest.mark.parametrize("key", [None, ""])
async def test_a_local_server_needs_no_key_and_gets_none_of_the_environment(
    model: Opened, monkeypatch: pytest.MonkeyPatch, key: str | None
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
async def test_a_server_that_is_not_there_is_unreachable_and_unbilled(api: Api, model: Opened, host: str) -> None:
    port = closed_port()
    with pytest.raises(ModelError) as caught:
        await model(f"http://{host}:{port}/v1").reply(a_request(api), call_id)
    assert (caught.value.kind, caught.value.retryable, caught.value.billed) == ("unreachable", True, False)
    assert f"`{host}:{port}`" in str(caught.value)


@pytest.mark.parametrize("base_url", ["ftp://example.invalid/v1", "not an address"])
async def test_an_address_of_no_use_is_refused(model: Opened, base_url: str) -> None:
    with pytest.raises(ModelError) as caught:
        await model(base_url).reply(a_request("chat"), call_id)
    assert (caught.value.kind, caught.value.retryable, caught.value.billed) == ("refused", False, False)


@pytest.mark.parametrize("turn", [Drop(), Drop(after_bytes=40)])
async def test_a_connection_that_breaks_loses_the_reply(api: Api, model: Opened, turn: Drop) -> None:
    error = await failed(model, api, turn)
    assert (error.kind, error.retryable, error.billed) == ("lost", True, True)


@pytest.mark.parametrize("turn", [Drip(20), Reply("late", delay=20)])
async def test_a_reply_that_takes_too_long_in_all_times_out(api: Api, model: Opened, turn: Turn) -> None:
    start = asyncio.get_running_loop().time()
    error = await failed(model, api, turn, limit=0.4)
    assert asyncio.get_running_loop().time() - start < 5
    assert (error.kind, error.retryable, error.billed) == ("timeout", True, True)


@pytest.mark.parametrize(
    ("cause", "kind", "billed"),
    [
        (httpx2.ConnectTimeout("x"), "unreachable", False),
        (httpx2.PoolTimeout("x"), "unreachable", False),
        (httpx2.ConnectError("x"), "unreachable", False),
        (httpx2.ReadTimeout("x"), "timeout", True),
        (httpx2.WriteTimeout("x"), "timeout", True),
        (httpx2.WriteError("x"), "lost", True),
        (httpx2.ReadError("x"), "lost", True),
        (RuntimeError("x"), "lost", True),
    ],
)
@pytest.mark.parametrize("wrapped", [True, False])
def test_every_failure_says_whether_it_may_have_been_billed(
    cause: Exception, kind: str, billed: bool, wrapped: bool
) -> None:
    error = cause
    if wrapped:
        request = httpx2.Request("POST", LOCAL)
        timed_out = isinstance(cause, httpx2.TimeoutException)
        error = openai.APITimeoutError(request) if timed_out else openai.APIConnectionError(request=request)
        error.__cause__ = cause
    meaning = as_model_error(error)
    assert (meaning.kind, meaning.retryable, meaning.billed) == (kind, True, billed)


async def test_a_slow_reply_within_the_limit_is_read(api: Api, model: Opened) -> None:
    assert (await replied(model, api, Drip(0.2, Reply("slow")))).decision.text == "slow"


async def test_a_body_that_is_not_compressed_as_it_claims_is_unreadable(model: Opened) -> None:
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


async def test_cancelling_a_request_closes_its_connection(api: Api, model: Opened) -> None:
    async with ScriptedModel([Reply("never", delay=30)]) as server:
        task = asyncio.create_task(model(server.base_url).reply(a_request(api), call_id))
        await eventually(lambda: bool(server.requests))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: server.cancelled == 1)


async def test_a_failed_attempt_does_not_spoil_the_next(api: Api, model: Opened) -> None:
    turns = (Failure(500), Drop(), Raw(200, "x" * 2 * MAX_BYTES), Reply("at last"))
    async with ScriptedModel([Attempts(*turns)]) as server:
        one = model(server.base_url)
        for _ in range(3):
            with pytest.raises(ModelError):
                await one.reply(a_request(api), call_id)
        assert (await one.reply(a_request(api), call_id)).decision.text == "at last"
        assert [request.attempt for request in server.requests] == [1, 2, 3, 4]


async def test_a_closed_model_can_be_used_again(model: Opened) -> None:
    async with ScriptedModel([Reply("one"), Reply("two")]) as server:
        one = model(server.base_url)
        await one.reply(a_request("chat"), call_id)
        await one.close()
        await one.close()
        assert (await one.reply(a_request("chat", step=2), call_id)).decision.text == "two"


def refusing(*names: str) -> Turn:
    """A server that refuses each of these parameters by its name, and then answers."""

    def turn(request: Request) -> Turn:
        found = next((name for name in names if name in request.body), None)
        error = {"message": f"Unsupported parameter: {found!r}", "type": "invalid_request_error", "param": found}
        return Raw(400, json.dumps({"error": error})) if found else Reply("ok")

    return turn


REFUSED = {"chat": ["max_tokens", "max_completion_tokens"], "responses": ["include", "store"]}


async def test_what_a_server_refuses_is_left_out_once_and_for_all(
    api: Api, model: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    refused = ["max_completion_tokens"] if api == "chat" else REFUSED[api]
    async with ScriptedModel([refusing(*refused)] * 3) as server:
        one = model(server.base_url)
        for step in range(1, 4):
            assert (await one.reply(a_request(api, step=step), call_id)).decision.text == "ok"
        assert len(server.requests) == 3 + len(refused)
        assert not set(refused) & set(server.requests[-1].body)
        assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 3
    [logged] = [record.getMessage() for record in caplog.records if record.name == "backstay.model"]
    assert "`gpt-6-sol` at 127.0.0.1 refuses" in logged
    assert all(name in logged for name in refused)


async def test_the_limit_of_the_output_is_never_left_out(model: Opened) -> None:
    async with ScriptedModel([refusing(*REFUSED["chat"])]) as server:
        with pytest.raises(ModelError, match="max_completion_tokens") as caught:
            await model(server.base_url).reply(a_request("chat"), call_id)
        assert [sorted(set(REFUSED["chat"]) & set(request.body)) for request in server.requests] == [
            ["max_completion_tokens"],
            ["max_tokens"],
        ]
    assert (caught.value.kind, caught.value.billed) == ("refused", False)


async def test_what_is_learned_of_one_model_says_nothing_of_another(model: Opened) -> None:
    async with ScriptedModel([refusing("include")] * 2) as server:
        one = model(server.base_url)
        await one.reply(a_request("responses"), call_id)
        other = a_request("responses", step=2)
        spec = other.model.model_copy(update={"name": "gpt-7"})
        await one.reply(dataclasses.replace(other, model=spec), call_id)
        assert [("include" in request.body) for request in server.requests] == [True, False, True, False]


async def test_a_refusal_that_stays_is_asked_only_once_more(api: Api, model: Opened) -> None:
    async with ScriptedModel([Failure(400, "your content, store, include and max_tokens are refused")]) as server:
        with pytest.raises(ModelError) as caught:
            await model(server.base_url).reply(a_request(api), call_id)
        assert 1 <= len(server.requests) <= 4
    assert (caught.value.kind, caught.value.retryable, caught.value.billed) == ("refused", False, False)


async def test_nothing_is_learned_from_a_request_that_fails_all_the_same(model: Opened) -> None:
    async with ScriptedModel([Attempts(Failure(400, "no include"), Failure(500), Failure(400, "x"))]) as server:
        one = model(server.base_url)
        for kind in ("overloaded", "refused"):
            with pytest.raises(ModelError) as caught:
                await one.reply(a_request("responses"), call_id)
            assert caught.value.kind == kind
        assert [("include" in request.body) for request in server.requests] == [True, False, True]


async def test_agent_toml_says_how_a_server_is_asked(model: Opened) -> None:
    async with ScriptedModel([Reply("ok")]) as server:
        wire = Wire("groq", Parameters(parallel_tool_calls=False))
        await model(server.base_url).reply(a_request("responses"), call_id, wire)
        assert not {"include", "store"} & set(server.requests[0].body)
