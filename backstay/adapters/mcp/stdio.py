"""Speaks with the program of an MCP server over its pipes, whatever it writes there.

The SDK's own transport has no limit on a line, takes quadratic time for a long one, and hears nothing any more after
one byte that is not UTF-8.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse, jsonrpc_message_adapter
from pydantic import ValidationError

from .process import CHUNK, Running, running
from .sent import Requests
from .server import ReadSecret, Server, filled

LONGEST_LINE = 4 * 1024 * 1024
"""In bytes; more of one answer ends the connection."""
MOST_NOTIFICATIONS = 1_000
"""In a row without an answer; more end the connection."""
_MOST_LOGS = 100_000
_LAST_WORDS = 8 * 1024
_LOG_MESSAGE = b'"notifications/message"'
_LOG = logging.getLogger("backstay.mcp")

Read = MemoryObjectReceiveStream[SessionMessage | Exception]


@contextlib.asynccontextmanager
async def stdio(server: Server, read: ReadSecret, requests: Requests) -> AsyncGenerator[tuple[Read, "Stdin"]]:
    """Runs a server's program until the context ends.

    Args:
        server: the server.
        read: reads the secrets that it is given.
        requests: where it is noted what was sent and answered.

    Yields:
        the streams of the messages that it sends, and that it is sent.

    Raises:
        UnreachedError: it cannot be started.
        SecretError: a secret cannot be read.
    """
    async with running(server.name, server.command, filled(server.env, read)) as program:
        send, receive = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        stdin = Stdin(program.stdin, requests)
        words: deque[bytes] = deque()
        tasks = [
            asyncio.create_task(_Stdout(server.name, program, send, requests, stdin).read()),
            asyncio.create_task(_keep_words(program.stderr, words)),
        ]
        try:
            yield receive, stdin
        finally:
            stdin.close()
            receive.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            send.close()
            if words:
                _LOG.debug("the server `%s` said: %s", server.name, b"".join(words).decode("utf-8", "replace"))


class Stdin:
    """The stream of messages to the program; the SDK's own would not tell what was written."""

    def __init__(self, pipe: asyncio.StreamWriter, requests: Requests) -> None:
        self._pipe = pipe
        self._requests = requests
        self._closed = False
        self._turn = asyncio.Lock()

    async def send(self, item: SessionMessage, /) -> None:
        """Writes one message.

        Raises:
            anyio.BrokenResourceError: nobody reads any more; it was not written where its notes say so.
        """
        message = item.message
        sent = self._requests.begin(message.id) if isinstance(message, JSONRPCRequest) else None
        line = message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
        async with self._turn:
            if self._closed or self._pipe.is_closing():
                raise anyio.BrokenResourceError
            if sent is not None:
                sent.written = True
            try:
                self._pipe.write(line)
                await self._pipe.drain()
            except (OSError, RuntimeError):
                raise anyio.BrokenResourceError from None

    def close(self) -> None:
        """Lets nothing more be written."""
        self._closed = True

    async def aclose(self) -> None:
        """Does the same, for the SDK."""
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        self.close()


class _Stdout:
    """Reads the program's lines and hands on those that are messages; whatever else it prints is passed over."""

    def __init__(
        self,
        name: str,
        program: Running,
        messages: MemoryObjectSendStream[SessionMessage | Exception],
        requests: Requests,
        stdin: Stdin,
    ) -> None:
        self._name = name
        self._program = program
        self._messages = messages
        self._requests = requests
        self._stdin = stdin
        self._in_a_row = 0
        self._logs = 0
        self._garbage = 0

    async def read(self) -> None:
        """Reads until the program ends, or says too much."""
        try:
            with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
                why = await self._lines()
                if why is not None:
                    _LOG.warning("the server `%s` is cut off: %s", self._name, why)
        finally:
            # INVARIANT: what is written from now on is known as not written, so that it may be sent elsewhere.
            self._stdin.close()
            self._messages.close()

    async def _lines(self) -> str | None:
        """Hands on lines; returns why no more are read, or None at their end."""
        held, searched = bytearray(), 0
        while chunk := await self._program.stdout.read(CHUNK):
            held += chunk
            while (end := held.find(b"\n", searched)) >= 0:
                line = bytes(held[:end])
                del held[: end + 1]
                searched = 0
                if len(line) > LONGEST_LINE:
                    return f"a line is longer than {LONGEST_LINE} bytes"
                if (why := await self._line(line)) is not None:
                    return why
            searched = len(held)
            if searched > LONGEST_LINE:
                return f"a line is longer than {LONGEST_LINE} bytes"
        return None

    async def _line(self, line: bytes) -> str | None:
        if _LOG_MESSAGE in line and b'"id"' not in line:
            # Each would cost a third of a millisecond further on, and nobody listens to them.
            self._logs += 1
            return f"it logged more than {_MOST_LOGS} messages" if self._logs > _MOST_LOGS else None
        try:
            message = jsonrpc_message_adapter.validate_json(line.decode("utf-8", "replace"), by_name=False)
        except (ValidationError, RecursionError):
            self._pass_over(line)
            return None
        if isinstance(message, JSONRPCResponse | JSONRPCError):
            self._in_a_row = self._logs = 0
            self._requests.answer(message.id)
        elif isinstance(message, JSONRPCNotification):
            self._in_a_row += 1
            if self._in_a_row > MOST_NOTIFICATIONS:
                return f"it sent more than {MOST_NOTIFICATIONS} notifications in a row"
        await self._messages.send(SessionMessage(message))
        return None

    def _pass_over(self, line: bytes) -> None:
        self._garbage += bool(line.strip())
        if self._garbage == 1:
            _LOG.warning("the server `%s` prints what is no message; it is passed over", self._name)


async def _keep_words(stderr: asyncio.StreamReader, words: deque[bytes]) -> None:
    """Reads all that a program complains of, so that it never waits, and keeps the end of it."""
    kept = 0
    while chunk := await stderr.read(_LAST_WORDS):
        words.append(chunk)
        kept += len(chunk)
        while kept - len(words[0]) >= _LAST_WORDS:
            kept -= len(words.popleft())
