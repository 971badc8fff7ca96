"""Keeps one connection to an MCP server, in a task of its own.

The client of the SDK dies with its server by cancelling whoever entered it. In the task of a call that would look like
a cancellation by the run: so it has a task of its own, and calls wait for their answer or for its end.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, TypeVar, cast

import anyio
from mcp import Client
from mcp.client._transport import TransportStreams
from mcp.client.session import ClientRequestContext, ClientSession
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    CallToolRequest,
    CallToolRequestParams,
    DiscoverResult,
    ElicitRequestParams,
    ElicitResult,
    Implementation,
    ToolListChangedNotification,
)
from pydantic import RootModel, ValidationError

import backstay
from backstay.errors import BackstayError, UnreachedError
from backstay.kernel.excerpt import on_one_line
from backstay.kernel.mcp_pins import Listing
from backstay.kernel.mcp_words import cleaned

from .asking import Dialogue, ServerCall
from .listing import listed
from .sent import Requests, Sent
from .server import Era, Server

OPENS_SECONDS = 10.0
CALLS_AT_ONCE = 8
_CLOSES_SECONDS = 4.0
_LONGEST_ABOUT = 200
_OK = range(200, 300)
_REFUSED_US = (401, 403)
_LOG = logging.getLogger("backstay.mcp")

Streams = Callable[[Requests], AbstractAsyncContextManager[TransportStreams]]
R = TypeVar("R")


class _Answer(RootModel[dict[str, Any]]):
    """An answer as the server wrote it, so far as the protocol has such an answer."""


class GoneError(Exception):
    """Raised where a connection has ended; its notes say what became of the request."""


class Connection:
    """A connection that is open until it is closed, or its server ends it."""

    def __init__(self, server: Server, streams: Streams, prior: DiscoverResult | None = None) -> None:
        """Prepares the connection and opens none.

        Args:
            server: the server.
            streams: opens the streams of messages from and to it.
            prior: what an earlier connection found out, where one of the same era may begin with it.
        """
        self.requests = Requests()
        # What a server asks over the old protocol names no call: there must be one alone.
        self.slots = asyncio.Semaphore(1 if server.asks else CALLS_AT_ONCE)
        self._dialogue: Dialogue | None = None
        self.calls = 0
        self.listing = Listing()
        self.listed_at = float("-inf")
        self.used_at = float("-inf")
        self._server = server
        self._streams = streams
        self._prior = prior
        self._client: Client | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stop = asyncio.Event()
        self._gone = asyncio.Event()
        self._owner: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """True where a call may be sent."""
        return self._client is not None and not self._gone.is_set() and not self._stop.is_set()

    @property
    def discovered(self) -> DiscoverResult | None:
        """Holds what the server said of itself, where it needs no handshake and keeps nothing of a connection."""
        return self._session().discover_result

    async def open(self, era: Era) -> None:
        """Opens the connection.

        Raises:
            UnreachedError: it cannot be opened, or not in time.
            BackstayError: a secret cannot be read.
        """
        self._owner = asyncio.create_task(self._own(era), name=f"mcp {self._server.name}")
        done, _ = await asyncio.wait({self._ready}, timeout=OPENS_SECONDS)
        if not done:
            self.end()
            self._owner.cancel()
            raise UnreachedError(f"`{self._server.name}` does not answer within {OPENS_SECONDS:g} seconds")
        self._ready.result()

    async def list(self, now: float) -> Listing:
        """Asks for the tools, and keeps what the server lists.

        Raises:
            GoneError: the connection ended meanwhile.
            UnreachedError: the list has no end.
        """
        found = await self._within(listed(self._server.name, self._session()))
        self.listing = replace(found, about=_about(self._session().server_info))
        self.listed_at = now
        return self.listing

    async def call(self, call: ServerCall) -> dict[str, Any]:
        """Calls a tool and returns its answer as the server wrote it.

        Args:
            call: the tool, its arguments, and what goes with them.

        Raises:
            MCPError: an error that the server, or the SDK for it, answered with.
            ValidationError: the answer is none that the protocol has.
            GoneError: the connection ended meanwhile.
        """
        request = CallToolRequest(params=CallToolRequestParams.model_validate(call.params))
        self._dialogue = call.dialogue
        try:
            # Not `call_tool`: it may list tools after the call, and loses a good answer where that fails.
            return (await self._within(self._session().send_request(request, _Answer))).root
        finally:
            self._dialogue = None

    def end(self) -> None:
        """Begins to close the connection; no call is sent over it any more."""
        self._stop.set()

    async def close(self) -> None:
        """Closes the connection and waits until its server has gone."""
        self.end()
        if self._owner is not None:
            await asyncio.wait({self._owner}, timeout=_CLOSES_SECONDS)
            self._owner.cancel()

    def _session(self) -> ClientSession:
        if self._client is None:
            raise GoneError
        return self._client.session

    async def _within(self, work: Coroutine[Any, Any, R]) -> R:
        """Waits for some work, or for the end of the connection."""
        task = asyncio.create_task(work)
        gone = asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                # The end may come a moment before the answer that it does not touch.
                await asyncio.wait({task}, timeout=0.05)
            if not task.done() or task.cancelled():
                raise GoneError
            return task.result()
        finally:
            gone.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=1.0)

    async def _own(self, era: Era) -> None:
        """Opens the client, keeps it until it is to end, and closes it: all in this task."""
        try:
            async with Client(
                self._streams(self.requests),
                mode=era if self._prior is None else "2026-07-28",
                prior_discover=self._prior,
                cache=None,
                client_info=Implementation(name="backstay", version=backstay.__version__),
                message_handler=self._heard,
                elicitation_callback=self._asked if self._server.asks else None,
            ) as client:
                self._client = client
                self._settle(None)
                await self._stop.wait()
        except BaseException as error:
            leaf = first_leaf(error)
            known = isinstance(leaf, BackstayError)
            self._settle(leaf if known else refused(self._server.name, self.requests.last) or leaf)
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._gone.set()
            self._settle(UnreachedError(f"the connection to `{self._server.name}` is closed"))

    def _settle(self, error: BaseException | None) -> None:
        if self._ready.done():
            return
        if error is None:
            self._ready.set_result(None)
        else:
            self._ready.set_exception(unreached(self._server.name, error))
            self._ready.exception()  # whoever opened it may have gone

    async def _asked(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        return ElicitResult(action="cancel") if self._dialogue is None else self._dialogue.hear(params)

    async def _heard(self, message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            self.listed_at = float("-inf")
        elif isinstance(message, Exception):
            _LOG.debug("the connection to `%s` is disturbed: %s", self._server.name, type(message).__name__)


def _about(info: Implementation | None) -> str:
    """Returns the name and version that a server gives itself, fit to be shown."""
    return "" if info is None else on_one_line(cleaned(f"{info.name} {info.version}", _LONGEST_ABOUT))


def first_leaf(error: BaseException) -> BaseException:
    """Returns the first error of a group that holds no others; the SDK nests them."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def refused(name: str, sent: Sent) -> UnreachedError | None:
    """Returns the error of a connection that the server's HTTP status refuses; None where there is no such status.

    Args:
        name: of the server.
        sent: the request that was sent last.
    """
    if sent.status is None or sent.status in _OK:
        return None
    order = ": its `headers` are not in order" if sent.status in _REFUSED_US else ""
    return UnreachedError(
        f"`{name}` cannot be connected to: it answers with HTTP {sent.status}{order}", sent.retry_after
    )


def unreached(name: str, error: BaseException) -> BackstayError:
    """Returns the error of a connection that could not be opened, without a word of the server's own."""
    if isinstance(error, BackstayError):
        return error
    if isinstance(error, MCPError):
        why = "it closed the connection" if error.code == CONNECTION_CLOSED else f"it answered with error {error.code}"
    elif isinstance(error, ValidationError):
        why = "its answer is none that the protocol has"
    elif isinstance(error, RuntimeError) and "version" in str(error):
        why = f"it speaks no version of the protocol that is known here ({error})"
    elif isinstance(error, anyio.ClosedResourceError | anyio.BrokenResourceError | anyio.EndOfStream):
        why = "it closed the connection"
    else:
        why = type(error).__name__
    return UnreachedError(f"`{name}` cannot be connected to: {why}")
