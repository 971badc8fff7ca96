"""The model adapter against a real HTTP server that fails in every way, over both APIs."""

import asyncio
import json
import socket
import traceback
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import openai
import pytest

from backstay.adapters.model.openai import MAX_BYTES, OpenAIModel
from backstay.adapters.model.openai_errors import LONGEST_WAIT, as_model_error, retry_after
from backstay.contracts.admission import Api, ModelSpec
from backstay.contracts.conversation import ModelReply, ModelRequest, Said
from backstay.errors import ModelError
from backstay.testing import (
    Attempts,
    Drip,
    Drop,
    Failure,
    Raw,
    Reply,
    ScriptedModel,
    Turn,
)

KEY = "sk-secret-key-of-this-test"
LOCAL = "http://127.0.0.1:8080/v1"
APIS: list[Api] = ["chat", "responses"]


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


def a_request(api: Api, step: int = 1) -> ModelRequest:
    return ModelRequest(
        model=ModelSpec(name="gpt-6-sol", api=api, max_output_tokens=500, give_up_after=60, price=None),
        instructions="Be brief.",
        tools=(),
        conversation=(Said("where is A17?"),),
        max_output_tokens=400,
        idempotency_key=f"run-1/decide-{step}",
    )


def call_id(index: int) -> str:
    return f"1-{index}"


async def replied(open_one: Callable[..., OpenAIModel], api: Api, turn: Turn, limit: float = 10.0) -> ModelReply:
    async with ScriptedModel([turn]) as server:
        return await open_one(server.base_url, limit).reply(a_request(api), call_id)


async def failed(open_one: Callable[..., OpenAIModel], api: Api, turn: Turn, limit: float = 10.0) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await replied(open_one, api, turn, limit)
    assert len(str(caught.value)) <= 300
    assert KEY not in "".join(traceback.format_exception(caught.value))
    return caught.value


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
    async with ScriptedModel() as server:
        with pytest.raises(ModelError) as caught:
            await model(server.base_url, key=key).reply(a_request(api), call_id)
        assert not server.requests
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
        await eventually(lambda: bool(server.requests))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: server.cancelled == 1)


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
