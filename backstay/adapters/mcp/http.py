"""Speaks with an MCP server over HTTP, and keeps what the SDK forgets: statuses, what was sent, what broke off."""

import contextlib
import email.utils
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from typing import Any, cast

import httpx2
from mcp.client._transport import TransportStreams
from mcp.client.streamable_http import streamable_http_client

from .sent import Requests, Sent
from .server import ReadSecret, Server, filled
from .streams import Heard, Said

LONGEST_ANSWER = 8 * 1024 * 1024
"""In raw bytes: the servers of the SDK send each result twice."""
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 300.0
_SESSION = "mcp-session-id"
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


class Sockets:
    """The sockets to one server, which all its connections share."""

    def __init__(self) -> None:
        self._inner: httpx2.AsyncHTTPTransport | None = None

    def transport(self) -> httpx2.AsyncHTTPTransport:
        """Returns what sends requests; made when it is needed first, because it reads certificates."""
        if self._inner is None:
            self._inner = httpx2.AsyncHTTPTransport(trust_env=False)
        return self._inner

    async def close(self) -> None:
        """Closes the sockets; a later request opens others."""
        inner, self._inner = self._inner, None
        if inner is not None:
            await inner.aclose()


@contextlib.asynccontextmanager
async def http(
    server: Server, read: ReadSecret, requests: Requests, sockets: Sockets
) -> AsyncGenerator[TransportStreams]:
    """Opens the streams of messages from and to a server.

    Args:
        server: the server.
        read: reads the secrets of its headers, for each request anew.
        requests: where it is noted what was sent and answered.
        sockets: those to this server.
    """
    client = httpx2.AsyncClient(
        transport=_Noting(sockets, requests),
        auth=_Headers(server, read),
        headers={"accept-encoding": "identity"},
        timeout=httpx2.Timeout(_CONNECT_SECONDS, read=_READ_SECONDS, write=_CONNECT_SECONDS * 3),
        trust_env=False,
    )
    async with client, streamable_http_client(server.url, http_client=client) as streams:
        yield Heard(streams[0], requests), Said(streams[1], requests)


class _Headers(httpx2.Auth):
    """Adds the server's headers, with the secrets of now: one that was changed counts at once."""

    def __init__(self, server: Server, read: ReadSecret) -> None:
        self._server = server
        self._read = read

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response]:
        request.headers.update(filled(self._server.headers, self._read))
        yield request


class _Noting(httpx2.AsyncBaseTransport):
    """Sends requests, and notes of each what became of it."""

    def __init__(self, sockets: Sockets, requests: Requests) -> None:
        self._sockets = sockets
        self._requests = requests

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = self._sent(request)
        if request.method == "POST":
            self._requests.last = sent
        sent.written = True
        sent.in_session = _SESSION in request.headers
        try:
            response = await self._sockets.transport().handle_async_request(request)
        except _NEVER_SENT:
            sent.written = False
            raise
        sent.status = response.status_code
        sent.retry_after = _seconds(response.headers.get("retry-after"))
        if response.headers.get("content-encoding", "identity") != "identity":
            # Nobody asked for it packed: what it is once it is unpacked nobody has counted.
            await response.aclose()
            raise httpx2.ReadError("the answer is packed")
        if request.method == "POST":
            response.stream = _Limited(cast("httpx2.AsyncByteStream", response.stream), sent)
        return response

    async def aclose(self) -> None:
        """Leaves the sockets to the other connections."""

    def _sent(self, request: httpx2.Request) -> Sent:
        number = _request_id(request)
        found = None if number is None else self._requests.of(number)
        return found or Sent()


class _Limited(httpx2.AsyncByteStream):
    """An answer that breaks off where it is too long, and tells where it does."""

    def __init__(self, inner: httpx2.AsyncByteStream, sent: Sent) -> None:
        self._inner = inner
        self._sent = sent

    async def __aiter__(self) -> AsyncIterator[bytes]:
        length = 0
        self._sent.broken = True
        async for chunk in self._inner:
            length += len(chunk)
            if length > LONGEST_ANSWER:
                raise httpx2.ReadError(f"the answer is longer than {LONGEST_ANSWER} bytes")
            yield chunk
        self._sent.broken = False

    async def aclose(self) -> None:
        await self._inner.aclose()


def _request_id(request: httpx2.Request) -> int | str | None:
    """Returns the id of the JSON-RPC request in a body; None where it holds a notification, an answer or nothing."""
    if request.method != "POST":
        return None
    try:
        body: Any = json.loads(request.content)
    except (ValueError, httpx2.RequestNotRead):
        return None
    found: Any = cast("dict[str, Any]", body).get("id") if isinstance(body, dict) and "method" in body else None
    return found if isinstance(found, int | str) else None


def _seconds(text: str | None) -> float | None:
    """Reads a `Retry-After`: seconds, or a date."""
    if text is None:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, min(float(text), 86_400.0))
    with contextlib.suppress(TypeError, ValueError):
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    return None
