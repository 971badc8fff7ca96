"""Serves both OpenAI APIs without a model, by playing scripts.

    async with ScriptedModel([Reply(calls=[Call("lookup", {"id": "A17"})]), Reply("Shipped.")]) as model:
        client = AsyncOpenAI(base_url=model.base_url, api_key="none", max_retries=0)

It serves `POST /v1/chat/completions`, `POST /v1/responses` (both without streaming) and `GET /v1/models`, and marks
its headers, ids and the model's name `scripted`.

The `Idempotency-Key`, `<conversation>/decide-<n>`, chooses the turn. Within a conversation each new key takes the next
turn of the script; a known key keeps its turn and counts one more attempt. Without a key, the number of assistant turns
in the request is the index of its turn.

As a command: `python -m backstay.testing.model.server [--port 0] [--script FILE.json]`; `script_file` documents the
file. Without a script it improvises.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from .improvise import improvise
from .script import JSON, Answer, Api, Drip, Drop, Failure, Raw, Reply, Request, Script, Turn, answer_for, turn_at
from .script_file import ScriptError, Scripts, read_script
from .wire import Bill, assistant_turns, goal_of, render, render_error, render_models, too_long

_SERVER = "backstay scripted model"
_LARGEST_REQUEST = 64 * 2**20
SUMMARY = Reply("scripted model: a summary of the turns so far")
_CUT_OFF = Reply("scripted model: this reply is cut off before its end")


class ScriptedModel:
    """A server on 127.0.0.1 that plays scripts while its `async with` block runs.

    Attributes:
        requests: every valid request, in the order of arrival.
        served: every complete reply with an honest bill: (request, input tokens, output tokens).
        cancelled: the number of requests that lost their client before the reply was sent.
        summary: the turn for requests that compact a conversation.
    """

    def __init__(
        self,
        scripts: Scripts | None = None,
        default: Turn = improvise,
        *,
        port: int = 0,
        window: int | None = None,
        summary: Turn = SUMMARY,
    ) -> None:
        """Prepares the server.

        Args:
            scripts: one script for all runs, or scripts by a text that occurs in the goal; the first match counts.
            default: the turn for every decision of a run without a script.
            port: the port to listen on; 0 takes a free one.
            window: the tokens that the model takes, the room for its reply included; longer requests are refused with
                the words of OpenAI's servers. A token is four bytes, as in the bills. None takes any request.
            summary: the turn for requests that compact a conversation; they take no turn of a script.
        """
        self.requests: list[Request] = []
        self.served: list[tuple[Request, int, int]] = []
        self.cancelled = 0
        self._scripts: Mapping[str, Script] = (
            scripts if isinstance(scripts, Mapping) else {} if scripts is None else {"": scripts}
        )
        self._default = default
        self._port = port
        self._window = window
        self.summary = summary
        self._places: dict[str, dict[str, int]] = {}
        self._attempts: dict[str, int] = {}
        self._serial = 0
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        """The address to give to an OpenAI client."""
        if self._runner is None:
            raise RuntimeError("the scripted model is not running: use `async with`")
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_LARGEST_REQUEST)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/responses", self._responses)
        app.router.add_get("/v1/models", _models)
        app.router.add_route("*", "/{path:.*}", _unknown)
        # aiohttp cancels a handler when its client leaves; `cancelled` counts that.
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port, backlog=1024).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _chat(self, incoming: web.Request) -> web.StreamResponse:
        return await self._handle(Api.CHAT, incoming)

    async def _responses(self, incoming: web.Request) -> web.StreamResponse:
        return await self._handle(Api.RESPONSES, incoming)

    async def _handle(self, api: Api, incoming: web.Request) -> web.StreamResponse:
        try:
            raw = await incoming.read()
            body = _body(raw)
            if isinstance(body, str):
                return _respond(400, render_error(400, body))
            request = self._placed(api, incoming, raw, body)
            self.requests.append(request)
            answer = too_long(request, self._window) or answer_for(self._turn(request), request)
            await asyncio.sleep(answer.delay if not isinstance(answer, Drip) else answer.reply.delay)
            return await self._send(answer, request, incoming)
        except (asyncio.CancelledError, ConnectionError):
            # Stopping the server cancels handlers too; only a client that left is counted.
            self.cancelled += self._runner is not None
            raise

    def _placed(self, api: Api, incoming: web.Request, raw: bytes, body: Mapping[str, JSON]) -> Request:
        key = incoming.headers.get("Idempotency-Key", "")
        conversation = key.rpartition("/")[0] or None
        index, attempt = assistant_turns(api, body), 1
        if conversation is not None and _compacts(key):
            attempt = self._attempts[key] = self._attempts.get(key, 0) + 1
        elif conversation is not None:
            places = self._places.setdefault(conversation, {})
            index = places.setdefault(key, len(places))
            attempt = self._attempts[key] = self._attempts.get(key, 0) + 1
        return Request(
            api=api,
            path=incoming.path,
            headers=incoming.headers,
            body=body,
            raw=raw,
            goal=goal_of(api, body),
            conversation=conversation,
            index=index,
            attempt=attempt,
            at=time.monotonic(),
        )

    def _turn(self, request: Request) -> Turn:
        if _compacts(request.headers.get("Idempotency-Key", "")):
            return self.summary
        for text, script in self._scripts.items():
            if text in request.goal:
                return turn_at(script, request.index)
        return self._default

    async def _send(self, answer: Answer, request: Request, incoming: web.Request) -> web.StreamResponse:
        if isinstance(answer, Failure):
            body = render_error(answer.status, answer.message, answer.code, answer.param)
            return _respond(answer.status, body, answer.retry_after)
        if isinstance(answer, Raw):
            body = answer.body.encode() if isinstance(answer.body, str) else answer.body
            return _respond(answer.status, body, content_type=answer.content_type)
        if isinstance(answer, Drop):
            return await _drop(incoming, self._rendered(_CUT_OFF, request)[0], answer.after_bytes)
        reply = answer.reply if isinstance(answer, Drip) else answer
        body, bill = self._rendered(reply, request)
        if isinstance(answer, Drip):
            response = await _drip(incoming, body, answer.seconds)
        else:
            response = _respond(200, body)
            await response.prepare(incoming)
            await response.write_eof()
        if bill is not None:
            self.served.append((request, bill.input_tokens, bill.output_tokens))
        return response

    def _rendered(self, reply: Reply, request: Request) -> tuple[bytes, Bill | None]:
        self._serial += 1
        return render(reply, request, self._serial)


def _compacts(key: str) -> bool:
    return key.rpartition("/")[2].startswith("compact-")


def _body(raw: bytes) -> Mapping[str, JSON] | str:
    """Returns the request's JSON object, or a text that says why it is refused."""
    try:
        given: JSON = json.loads(raw)
    except (ValueError, RecursionError):
        return "scripted model: the request is not JSON"
    if not isinstance(given, dict):
        return "scripted model: the request is not a JSON object"
    return "scripted model: streaming is not supported" if given.get("stream") else given


def _respond(
    status: int, body: bytes, retry_after: float | None = None, *, content_type: str = "application/json"
) -> web.Response:
    headers = {"Server": _SERVER, "Content-Type": content_type}
    if retry_after is not None:
        headers["Retry-After"] = f"{retry_after:g}"
    return web.Response(status=status, body=body, headers=headers)


async def _drop(incoming: web.Request, body: bytes, after_bytes: int) -> web.StreamResponse:
    """Closes the connection, at once or after the head and some bytes of the body."""
    response = _unfinished(body)
    if after_bytes > 0:
        await response.prepare(incoming)
        await response.write(body[: min(after_bytes, len(body) - 1)])
    if incoming.transport is not None:
        incoming.transport.close()
    return response


async def _drip(incoming: web.Request, body: bytes, seconds: float) -> web.StreamResponse:
    response = _unfinished(body)
    await response.prepare(incoming)
    start = time.monotonic()
    for sent in range(len(body) - 1):
        await response.write(body[sent : sent + 1])
        await asyncio.sleep(start + seconds * (sent + 1) / (len(body) - 1) - time.monotonic())
    await response.write_eof(body[-1:])
    return response


def _unfinished(body: bytes) -> web.StreamResponse:
    headers = {"Server": _SERVER, "Content-Type": "application/json", "Content-Length": str(len(body))}
    return web.StreamResponse(headers=headers)


async def _models(incoming: web.Request) -> web.Response:
    return _respond(200, render_models())


async def _unknown(incoming: web.Request) -> web.Response:
    return _respond(404, render_error(404, "scripted model: there is nothing at this address"))


async def _serve(scripts: Scripts | None, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with ScriptedModel(scripts, port=port) as model:
        print(f"scripted model listening on {model.base_url} (no real model is behind it)", flush=True)
        await stop.wait()


def main(arguments: list[str] | None = None) -> int:
    """Serves until SIGINT or SIGTERM.

    Returns:
        The exit code: 2 for a script or a port that cannot be used.
    """
    parser = argparse.ArgumentParser(
        prog="python -m backstay.testing.model.server",
        description="A model server with no model behind it: it plays a script, or improvises.",
    )
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--script", type=Path, help="a JSON file; see `backstay.testing.model.script_file`")
    given = parser.parse_args(arguments)
    try:
        scripts = None if given.script is None else read_script(given.script.read_bytes())
        asyncio.run(_serve(scripts, given.port))
    except ScriptError as error:
        print(f"{given.script}: {error}", file=sys.stderr)
        return 2
    except (OSError, OverflowError) as error:
        print(f"scripted model: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
