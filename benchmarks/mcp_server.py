"""The smallest MCP server, over stdio or HTTP, so that what a call costs beside it can be measured."""

import asyncio
import json
import sys
from typing import Any

from aiohttp import web

MODERN = "2026-07-28"
TOOL = {
    "name": "echo",
    "description": "Repeats a text.",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
}
INFO = {"name": "bench", "version": "1"}


def result(message: dict[str, Any], modern: bool) -> dict[str, Any] | None:
    """Returns what a request is answered with; None where there is no such method."""
    method, params = message.get("method"), message.get("params") or {}
    if method == "tools/call":
        return {"resultType": "complete", "content": [{"type": "text", "text": params["arguments"]["text"]}]}
    if method == "tools/list":
        return {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", "tools": [TOOL]}
    if method == "server/discover" and modern:
        about = {"supportedVersions": [MODERN], "capabilities": {"tools": {}}, "serverInfo": INFO}
        return {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", **about}
    if method == "initialize" and not modern:
        return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": INFO}
    return None


def reply(message: dict[str, Any], modern: bool) -> dict[str, Any]:
    """Returns the answer to a request."""
    said = result(message, modern)
    held = {"error": {"code": -32601, "message": "Method not found"}} if said is None else {"result": said}
    return {"jsonrpc": "2.0", "id": message["id"], **held}


def stdio(modern: bool) -> None:
    """Answers over its pipes until they end."""
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            sys.stdout.write(json.dumps(reply(message, modern)) + "\n")
            sys.stdout.flush()


async def http(modern: bool) -> None:
    """Answers over HTTP until it is killed; writes its address first."""

    async def handle(request: web.Request) -> web.Response:
        if request.method != "POST":
            return web.Response(status=405)
        message = await request.json()
        if "id" not in message:
            return web.Response(status=202)
        return web.json_response(reply(message, modern))

    app = web.Application()
    app.router.add_route("*", "/mcp", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/mcp", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    is_modern = "--modern" in sys.argv
    if "--http" in sys.argv:
        asyncio.run(http(is_modern))
    else:
        stdio(is_modern)
