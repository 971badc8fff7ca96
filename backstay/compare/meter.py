"""Meters the model: a proxy before its server that bills both sides alike, and ends a loop that does not end itself."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias, cast

import aiohttp
from aiohttp import web

from backstay.kernel.price import Price, Usage
from backstay.testing import JSON, Api
from backstay.testing.model.wire import goal_of, render_error

from .measure import Bill

LOOP, GOVERNED = "loop", "governed"
OPENAI = "https://api.openai.com/v1"
_LARGEST_REQUEST = 64 * 2**20
_LONGEST_REPLY = aiohttp.ClientTimeout(total=600)
_OF_THIS_HOP = frozenset({"host", "content-length", "connection", "transfer-encoding", "accept-encoding"})

Fields: TypeAlias = Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Upstream:
    """Names the model's own server, and what a call of it costs."""

    base_url: str
    price: Price


class Meter:
    """A server on 127.0.0.1 that passes requests on while its `async with` block runs."""

    def __init__(self, upstream: Upstream, most_calls: int) -> None:
        """Prepares the server.

        Args:
            upstream: where requests go.
            most_calls: how many calls a run of the loop gets; the next one is refused. A governed run gets any number.
        """
        self._upstream = upstream
        self._most_calls = most_calls
        self._bills: dict[tuple[str, str], Bill] = {}
        self._refused: set[str] = set()
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    def base_url(self, side: str) -> str:
        """Returns the address to give to a side's client."""
        if self._runner is None:
            raise RuntimeError("the meter is not running: use `async with`")
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/{side}/v1"

    def bill(self, side: str, goals: Collection[str]) -> Bill:
        """Returns the bill of a side for some goals."""
        total = Bill()
        for (of, said), bill in self._bills.items():
            if of == side and said.startswith(tuple(goals)):  # a runtime may add a note to the goal
                previous = 0
                for so_far in bill.so_far:
                    total, previous = total.plus(so_far - previous), so_far
        return total

    def cut_off(self, goal: str) -> bool:
        """Tells whether a loop wanted more calls than it gets."""
        return goal in self._refused

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_LARGEST_REQUEST)
        app.router.add_post("/{side}/v1/{path:.*}", self._pass_on)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        self._runner = runner
        self._session = aiohttp.ClientSession(timeout=_LONGEST_REPLY)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        runner, self._runner = self._runner, None
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        if runner is not None:
            await runner.cleanup()

    async def _pass_on(self, incoming: web.Request) -> web.Response:
        side, path = incoming.match_info["side"], incoming.match_info["path"]
        try:
            raw = await incoming.read()
        except ConnectionError:  # a side that was killed in the middle of its request: nothing was asked, or billed
            return web.Response(status=400)
        goal = goal_of(Api.RESPONSES if path == "responses" else Api.CHAT, _fields(raw))
        if side == LOOP and len(self._bills.get((side, goal), Bill()).so_far) >= self._most_calls:
            self._refused.add(goal)
            refusal = render_error(400, f"the comparison ends this loop after {self._most_calls} model calls")
            return web.Response(status=400, body=refusal, content_type="application/json")
        status, body, kind = await self._asked(path, raw, incoming.headers)
        if status == 200:
            key = (side, goal)
            self._bills[key] = self._bills.get(key, Bill()).plus(self._cost(_fields(body)))
        return web.Response(status=status, body=body, content_type=kind)

    async def _asked(self, path: str, raw: bytes, headers: Mapping[str, str]) -> tuple[int, bytes, str]:
        """Asks the model's own server; returns the status, the body and its type."""
        if self._session is None:
            raise RuntimeError("the meter is not running")
        passed = {name: value for name, value in headers.items() if name.lower() not in _OF_THIS_HOP}
        address = f"{self._upstream.base_url.rstrip('/')}/{path}"
        try:
            async with self._session.post(address, data=raw, headers=passed) as reply:
                return reply.status, await reply.read(), reply.content_type
        except aiohttp.ClientError as error:
            return 502, render_error(502, f"the model's server does not answer: {error}"), "application/json"

    def _cost(self, reply: Fields) -> int:
        """Returns the micro-dollars of a reply; one without a bill costs nothing that could be measured."""
        usage = _object(reply.get("usage"))
        read = _count(usage, "prompt_tokens", "input_tokens")
        details = _object(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
        cached = min(read, _count(details, "cached_tokens"))
        return self._upstream.price.cost(Usage(read, _count(usage, "completion_tokens", "output_tokens"), cached))


def _fields(raw: bytes) -> Fields:
    try:
        return _object(json.loads(raw))
    except ValueError:
        return {}


def _object(value: JSON) -> Fields:
    return cast("Fields", value) if isinstance(value, Mapping) else {}


def _count(fields: Fields, *names: str) -> int:
    found = (fields.get(name) for name in names)
    return next((count for count in found if isinstance(count, int) and count >= 0), 0)
