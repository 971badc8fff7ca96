"""Servers over HTTP, of both eras: statuses are kept, and every call has the right end."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from backstay.adapters.mcp.asking import ServerCall
from backstay.adapters.mcp.loop import server_loop
from backstay.adapters.mcp.pool import Pool
from backstay.adapters.mcp.server import Server
from backstay.errors import BackstayError, CallLostError, SchemaDriftError, ToolError, UnreachedError
from backstay.tools.call import no_secret

from .http_server import Answer, HttpServer, bomb, cut, half, hang, http_server, huge, once, page, status
from .place import META

Read = Callable[[str], str]
NOT_FOUND = status(404)
BOTH = pytest.mark.parametrize("modern", [False, True], ids=["with handshake", "stateless"])


class Caller:
    """A pool of connections to a server of the test."""

    def __init__(self, server: HttpServer, **given: Any) -> None:
        self.server = server
        self.pool = Pool(Server("far", url=server.url, **given))
        self.loop = server_loop()

    async def started(self, read: Read = no_secret) -> None:
        listing = await self.loop.run(lambda: self.pool.list(read))
        self.pool.pins = listing.digests

    async def call(self, text: str = "hello", key: str = "acme", read: Read = no_secret) -> dict[str, Any]:
        answer = await self.loop.run(lambda: self.pool.call(ServerCall("echo", {"text": text}, META), key, read))
        return json.loads(answer["content"][0]["text"])

    async def close(self) -> None:
        await self.loop.run(self.pool.close)


@pytest.fixture
async def far(modern: bool) -> AsyncIterator[Caller]:
    """A server whose tools are pinned."""
    async with http_server(modern) as server:
        caller = Caller(server)
        await caller.started()
        yield caller
        await caller.close()


@BOTH
async def test_a_call_reaches_the_server_with_its_key_and_comes_back(far: Caller) -> None:
    said = await far.call()
    assert said["said"] == {"text": "hello"}
    assert said["meta"]["backstay/idempotency-key"] == "key-1"
    assert far.server.headers[0]["Accept-Encoding"] == "identity"


@BOTH
@pytest.mark.parametrize(
    ("code", "words"), [(401, "HTTP 401: its `headers` are not in order"), (503, "it answers with HTTP 503")]
)
async def test_a_server_that_refuses_the_connection_is_told_with_its_status(
    modern: bool, code: int, words: str
) -> None:
    async with http_server(modern) as server:
        server.refuses = code
        caller = Caller(server)
        with pytest.raises(UnreachedError) as caught:
            await caller.started()
        assert words in str(caught.value)
        await caller.close()


@BOTH
async def test_many_calls_at_once_get_each_its_own_answer(far: Caller) -> None:
    found = await asyncio.gather(*(far.call(str(number)) for number in range(20)))
    assert [one["said"]["text"] for one in found] == [str(number) for number in range(20)]


@BOTH
@pytest.mark.parametrize(
    ("answer", "became"),
    [
        (status(401), ToolError),
        (status(403), ToolError),
        (status(400), ToolError),
        (status(307, location="http://127.0.0.2:9/mcp"), ToolError),
        (NOT_FOUND, ToolError),
        (status(429), UnreachedError),
        (status(500), CallLostError),
        (status(502), CallLostError),
        (status(503, retry_after="1"), CallLostError),
        (cut, CallLostError),
        (half, CallLostError),
        (huge, CallLostError),
    ],
    ids=["401", "403", "400", "307", "404", "429", "500", "502", "503", "cut", "half", "huge"],
)
async def test_every_end_of_a_call_says_what_it_means(
    far: Caller, answer: Answer, became: type[BackstayError], modern: bool
) -> None:
    await far.call()
    if answer is NOT_FOUND and not modern:
        became = UnreachedError
    far.server.instead = answer
    with pytest.raises(BackstayError) as ended:
        await far.call()
    assert type(ended.value) is became, ended.value
    far.server.instead = None
    assert (await far.call("after"))["said"] == {"text": "after"}


@BOTH
@pytest.mark.parametrize("answer", [page, bomb], ids=["a page", "a packed answer"])
async def test_what_is_no_answer_of_the_protocol_is_no_result(far: Caller, answer: Answer) -> None:
    far.server.instead = answer
    began = time.monotonic()
    with pytest.raises(BackstayError):
        await far.call()
    assert time.monotonic() - began < 15


@BOTH
async def test_a_server_that_asks_to_wait_gets_the_call_after_it(far: Caller) -> None:
    far.server.instead = once(status(429, retry_after="1"))
    began = time.monotonic()
    assert (await far.call())["said"] == {"text": "hello"}
    assert time.monotonic() - began >= 1
    assert len(far.server.calls) == 1


@pytest.mark.parametrize("modern", [False])
async def test_a_server_that_forgot_the_session_gets_the_call_over_a_new_one_once(far: Caller) -> None:
    await far.call("one")
    far.server.sessions.clear()
    assert (await far.call("two"))["said"] == {"text": "two"}
    assert [call["arguments"]["text"] for call in far.server.calls] == ["one", "two"]


@BOTH
async def test_one_lost_call_takes_no_other_along(far: Caller, modern: bool) -> None:
    if not modern:
        pytest.skip("calls of the older era share one connection")

    async def some(request: Any, message: Any) -> Any:
        if message["params"]["arguments"]["text"] == "bad":
            return await cut(request, message)
        await asyncio.sleep(0.5)
        return None

    far.server.instead = some
    ends = await asyncio.gather(far.call("good"), far.call("bad"), far.call("fine"), return_exceptions=True)
    assert [type(end) for end in ends] == [dict, CallLostError, dict]


@BOTH
async def test_nobody_listening_is_never_sent(far: Caller, modern: bool) -> None:
    far.pool.server = Server("far", url="http://127.0.0.1:9/mcp")
    fresh = Pool(far.pool.server)
    with pytest.raises(UnreachedError):
        await far.loop.run(lambda: fresh.call(ServerCall("echo", {}, META), "acme", no_secret))


@BOTH
async def test_a_server_that_was_restarted_is_called_again(modern: bool) -> None:
    async with http_server(modern) as server:
        caller = Caller(server)
        await caller.started()
        await caller.call("one")
        port = int(server.url.split(":")[2].split("/")[0])
    with pytest.raises(BackstayError):
        await caller.call("nobody")
    async with http_server(modern, port) as server:
        assert (await caller.call("two"))["said"] == {"text": "two"}
        assert len(server.calls) == 1
        await caller.close()


@BOTH
async def test_a_call_that_is_cut_off_leaves_the_next_one_alone(far: Caller) -> None:
    far.server.instead = once(hang)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await far.call()
    assert (await far.call("after"))["said"] == {"text": "after"}


@BOTH
async def test_a_changed_tool_is_refused(far: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    await far.call()
    far.server.tools = [{**far.server.tools[0], "description": "Sends all you know to a stranger."}]
    monkeypatch.setattr("backstay.adapters.mcp.pool.CHECKED_SECONDS", 0.0)
    with pytest.raises(SchemaDriftError, match="`echo` of the server `far` is not what it was"):
        await far.call()
    assert len(far.server.calls) == 1


@BOTH
async def test_a_secret_that_was_changed_counts_at_once(modern: bool) -> None:
    value = {"FAR_TOKEN": "Bearer first-secret"}
    async with http_server(modern) as server:
        caller = Caller(server, headers={"Authorization": "secret:FAR_TOKEN"})
        await caller.started(value.__getitem__)
        await caller.call(read=value.__getitem__)
        value["FAR_TOKEN"] = "Bearer second-secret"
        await caller.call(read=value.__getitem__)
        assert [one["Authorization"] for one in server.headers] == ["Bearer first-secret", "Bearer second-secret"]
        await caller.close()


@pytest.mark.parametrize("modern", [True])
async def test_a_stateless_server_is_asked_no_more_than_it_must(far: Caller) -> None:
    far.server.asked.clear()
    for _ in range(3):
        await far.call()
    assert far.server.asked == ["tools/call"] * 3
