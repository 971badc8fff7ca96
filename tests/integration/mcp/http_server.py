"""A server over HTTP of the tests' own, of either era, that answers a call in whatever way the test says."""

import asyncio
import contextlib
import gzip
import json
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from aiohttp import web

MODERN = "2026-07-28"
ECHO = {
    "name": "echo",
    "description": "Repeats a text.",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
}
Answer = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse | None]]


class HttpServer:
    """One server; `calls` are the calls that it executed, `refuses` is a status for all that it is asked."""

    def __init__(self, modern: bool) -> None:
        self.modern = modern
        self.url = ""
        self.calls: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.asked: list[str] = []
        self.sessions: set[str] = set()
        self.tools = [dict(ECHO)]
        self.instead: Answer | None = None
        self.refuses: int | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            return web.Response(status=405 if request.method == "GET" else 200)
        message = await request.json()
        method = message.get("method", "")
        self.asked.append(method)
        if self.refuses is not None:
            return web.Response(status=self.refuses)
        session = request.headers.get("mcp-session-id")
        if session is not None and session not in self.sessions:
            return web.Response(status=404)
        if "id" not in message:
            return web.Response(status=202)
        if method == "tools/call":
            self.headers.append(dict(request.headers))
            if self.instead is not None and (said := await self.instead(request, message)) is not None:
                return said
            self.calls.append(message["params"])
            words = json.dumps({"meta": message["params"].get("_meta"), "said": message["params"]["arguments"]})
            return self.answer(message, {"content": [{"type": "text", "text": words}]})
        return self.about_itself(message, method)

    def about_itself(self, message: dict[str, Any], method: str) -> web.Response:
        info = {"name": "http", "version": "1"}
        if method == "tools/list":
            return self.answer(message, {"tools": self.tools})
        if method == "server/discover" and self.modern:
            return self.answer(
                message, {"supportedVersions": [MODERN], "capabilities": {"tools": {}}, "serverInfo": info}
            )
        if method == "initialize" and not self.modern:
            session = uuid.uuid4().hex
            self.sessions.add(session)
            result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
            return self.answer(message, result, {"mcp-session-id": session})
        error = {"code": -32601, "message": "Method not found"}
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": error})

    def answer(
        self, message: dict[str, Any], result: dict[str, Any], headers: dict[str, str] | None = None
    ) -> web.Response:
        if self.modern:
            result = {"resultType": "complete", **result}
            if message["method"] != "tools/call":
                result = {"ttlMs": 0, "cacheScope": "private", **result}
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": result}, headers=headers)


def status(code: int, **headers: str) -> Answer:
    """Answers with a status alone."""

    async def said(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=code, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return said


def once(answer: Answer) -> Answer:
    """Answers so for the first time, and well from then on."""
    times = iter([True])

    async def said(request: web.Request, message: dict[str, Any]) -> web.StreamResponse | None:
        return await answer(request, message) if next(times, False) else None

    return said


async def cut(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    """Cuts the connection without a word."""
    assert request.transport
    request.transport.close()
    await asyncio.sleep(0.1)
    return web.Response()


async def hang(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    """Says nothing for a long time."""
    await asyncio.sleep(60)
    return web.Response()


async def huge(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    """Answers with forty megabytes."""
    result = {"content": [{"type": "text", "text": "x" * 40_000_000}]}
    return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": result})


async def bomb(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    """Answers with forty megabytes that are packed small."""
    result = {"content": [{"type": "text", "text": "x" * 40_000_000}]}
    text = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result})
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    return web.Response(body=gzip.compress(text.encode()), headers=headers)


async def page(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    """Answers with a page for people."""
    return web.Response(text="<html>welcome</html>", content_type="text/html")


async def half(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    """Breaks off in the middle of the answer."""
    response = web.StreamResponse(headers={"content-type": "application/json", "content-length": "1000"})
    await response.prepare(request)
    await response.write(b'{"jsonrpc": "2.0", "id": ')
    assert request.transport
    request.transport.close()
    return response


@contextlib.asynccontextmanager
async def http_server(modern: bool, port: int = 0) -> AsyncGenerator[HttpServer]:
    """Serves until the context ends."""
    server = HttpServer(modern)
    app = web.Application(client_max_size=10**8)
    app.router.add_route("*", "/mcp", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
    try:
        yield server
    finally:
        await runner.cleanup()
