"""Keeps the connections to one MCP server: opened when they are needed, shared as far as its scope allows."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

from mcp.client._transport import TransportStreams
from mcp_types import DiscoverResult

from backstay.errors import SchemaDriftError, UnreachedError
from backstay.kernel.mcp_pins import Listing

from .asking import ServerCall
from .connection import Connection, refused
from .http import Sockets, http
from .outcome import BadResultError, NotSentError, outcome_of
from .sent import Requests, noting
from .server import Era, ReadSecret, Server
from .stdio import stdio

MOST_CONNECTIONS = 16
"""Of one process, to all servers."""
IDLE_SECONDS = 300.0
CHECKED_SECONDS = 60.0
"""For so long a list of tools is believed."""
_LONGEST_WAIT = 20.0
_TRIES = 3

_UNREADABLE = "bad_result: the call was executed, and the server's answer cannot be read: do not repeat it"
BAD_RESULT: dict[str, Any] = {
    "content": [
        {
            "type": "text",
            "text": _UNREADABLE,
        }
    ]
}

_OPEN: "OrderedDict[tuple[int, str], tuple[Pool, Connection]]" = OrderedDict()
"""The connections of this process, the least recently used first; only the loop of servers touches it."""


class Pool:
    """The connections of one agent to one of its servers."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.pins: dict[str, str] = {}
        self.about = ""
        """The name and version that the server gave itself when its tools were pinned."""
        self._era: Era = server.era
        self._prior: DiscoverResult | None = None
        self._checked: tuple[float, Listing] = (float("-inf"), Listing())
        self._opening: dict[str, asyncio.Lock] = {}
        self._sockets = Sockets()

    async def list(self, read: ReadSecret) -> Listing:
        """Returns the tools that the server lists now, over a connection of its own.

        Raises:
            UnreachedError: the server cannot be reached.
            SecretError: a secret cannot be read.
        """
        for last in (False, True):
            try:
                connection = await self._opened(read)
            except UnreachedError:
                if last:
                    raise
                continue
            try:
                now = time.monotonic()
                listing = await connection.list(now)
                self._checked = (now, listing)
                return listing
            except Exception as error:
                if last:
                    raise self._unlisted(error, connection) from None
            finally:
                await connection.close()
        raise AssertionError

    async def call(self, call: ServerCall, key: str, read: ReadSecret) -> dict[str, Any]:
        """Calls a tool, and returns its answer.

        Args:
            call: the tool, its arguments, and what goes with them.
            key: whose call it is, as far as connections are shared by it.
            read: reads the server's secrets.

        Raises:
            ToolError: the server answered with an error, or refused the call.
            CallLostError: it was sent, and not answered.
            UnreachedError: it was not sent.
            SchemaDriftError: the tool is not the pinned one any more; nothing was sent.
        """
        waited = 0.0
        for _ in range(_TRIES):
            try:
                async with self._connected(key, read) as connection:
                    return await self._once(connection, call)
            except NotSentError:
                continue
            except UnreachedError as error:
                wait = error.retry_after
                if wait is None or waited + wait > _LONGEST_WAIT:
                    raise
                waited += wait
                await asyncio.sleep(wait)
        raise UnreachedError(f"`{self.server.name}` closed each of {_TRIES} connections before the call was sent")

    async def close(self) -> None:
        """Closes all connections, side by side."""
        own = [key for key, (pool, _) in _OPEN.items() if pool is self]
        await asyncio.gather(*(_OPEN.pop(key)[1].close() for key in own))
        await self._sockets.close()

    async def _once(self, connection: Connection, call: ServerCall) -> dict[str, Any]:
        """Checks the tool, then calls it; of every end it says what it means."""
        async with connection.slots:
            try:
                about = await self._check(connection, call.tool)
            except (SchemaDriftError, UnreachedError):
                raise
            except Exception:
                self._prior = None  # another server may have taken its place
                connection.end()
                raise NotSentError from None
            if about != self.about:
                call.changed(self.about, about)
            with noting() as sent:
                try:
                    return await connection.call(call)
                except Exception as error:
                    became = outcome_of(self.server.name, error, sent)
                    if not sent.answered and (isinstance(became, NotSentError) or sent.status in (None, 200)):
                        connection.end()
                    if isinstance(became, BadResultError):
                        return BAD_RESULT
                    raise became from None

    async def _check(self, connection: Connection, tool: str) -> str:
        """Checks that a tool is the pinned one; lists the tools again where the last look is too old.

        Returns:
            The name and version that the server gives itself now.

        Raises:
            SchemaDriftError: it is not.
        """
        now = time.monotonic()
        if self._prior is not None:
            at, listing = self._checked
            if now - at > CHECKED_SECONDS:
                listing = await connection.list(now)
                self._checked = (now, listing)
        elif now - connection.listed_at > CHECKED_SECONDS:
            listing = await connection.list(now)
        else:
            listing = connection.listing
        found = listing.digests.get(tool)
        if found is None or found != self.pins.get(tool):
            how = "is not listed any more" if found is None else "is not what it was when the worker started"
            raise SchemaDriftError(f"schema_drift: the tool `{tool}` of the server `{self.server.name}` {how}")
        return listing.about

    @asynccontextmanager
    async def _connected(self, key: str, read: ReadSecret) -> AsyncGenerator[Connection]:
        """Gives a connection for one call: one that others use too, or one for it alone.

        Raises:
            UnreachedError: there is none to be had.
        """
        if self._prior is not None:
            # Nothing is kept of such a connection, and one of its own is not lost with that of another call.
            connection = await self._opened(read, self._prior)
            try:
                yield connection
            finally:
                connection.end()
            return
        connection = await self._shared(key, read)
        connection.calls += 1
        try:
            yield connection
        finally:
            connection.calls -= 1
            connection.used_at = time.monotonic()
            if _OPEN.get((id(self), key), (None, None))[1] is not connection:
                connection.end()
            else:
                asyncio.get_running_loop().call_later(IDLE_SECONDS, self._rest, key, connection, connection.used_at)

    async def _shared(self, key: str, read: ReadSecret) -> Connection:
        place = (id(self), key)
        async with self._opening.setdefault(key, asyncio.Lock()):
            held = _OPEN.get(place)
            if held is not None and held[1].alive:
                _OPEN.move_to_end(place)
                return held[1]
            if held is not None:
                del _OPEN[place]
                held[1].end()
            await _make_room()
            connection = await self._opened(read)
            if self._prior is None:
                _OPEN[place] = (self, connection)
            return connection

    async def _opened(self, read: ReadSecret, prior: DiscoverResult | None = None) -> Connection:
        connection = Connection(self.server, self._streams(read), prior)
        try:
            await connection.open(self._era)
        except UnreachedError:
            # Some servers end, or stay silent, where they are asked what they cannot know: the next try asks nothing.
            self._era = "legacy" if self._era == "auto" else self.server.era
            raise
        discovered = connection.discovered
        if discovered is None and self.server.era == "auto":
            self._era = "legacy"
        if discovered is not None and self.server.url:
            self._prior = discovered
        return connection

    def _streams(self, read: ReadSecret) -> Callable[[Requests], AbstractAsyncContextManager[TransportStreams]]:
        def opened(requests: Requests) -> AbstractAsyncContextManager[TransportStreams]:
            if self.server.url:
                return http(self.server, read, requests, self._sockets)
            return cast("AbstractAsyncContextManager[TransportStreams]", stdio(self.server, read, requests))

        return opened

    def _rest(self, key: str, connection: Connection, since: float) -> None:
        """Closes a connection that nobody has used since."""
        if connection.calls or connection.used_at > since:
            return
        if _OPEN.get((id(self), key), (None, None))[1] is connection:
            del _OPEN[id(self), key]
        connection.end()

    def _unlisted(self, error: BaseException, connection: Connection) -> UnreachedError:
        if isinstance(error, UnreachedError):
            return error
        if (refusal := refused(self.server.name, connection.requests.last)) is not None:
            return refusal
        return UnreachedError(f"`{self.server.name}` does not list its tools: {type(error).__name__}")


async def _make_room() -> None:
    """Closes the connection that was not used for the longest time, where there are too many.

    Raises:
        UnreachedError: calls use them all.
    """
    while len(_OPEN) >= MOST_CONNECTIONS:
        idle = next((place for place, (_, connection) in _OPEN.items() if not connection.calls), None)
        if idle is None:
            raise UnreachedError(f"all {MOST_CONNECTIONS} connections to servers are in use")
        _OPEN.pop(idle)[1].end()
