"""Notes what passes through the streams of an HTTP connection."""

from types import TracebackType
from typing import Self

from mcp.client._transport import ReadStream, WriteStream
from mcp.shared.message import SessionMessage
from mcp_types import CONNECTION_CLOSED, JSONRPCError, JSONRPCRequest, JSONRPCResponse

from .sent import Requests, Sent


class Said:
    """The stream of messages to a server."""

    def __init__(self, inner: WriteStream[SessionMessage], requests: Requests) -> None:
        self._inner = inner
        self._requests = requests

    async def send(self, item: SessionMessage, /) -> None:
        """Hands on a message; a request is taken down for whoever makes it."""
        if isinstance(item.message, JSONRPCRequest):
            self._requests.begin(item.message.id)
        await self._inner.send(item)

    async def aclose(self) -> None:
        """Closes the stream."""
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()


class Heard:
    """The stream of messages from a server."""

    def __init__(self, inner: ReadStream[SessionMessage | Exception], requests: Requests) -> None:
        self._inner = inner
        self._requests = requests

    async def receive(self) -> SessionMessage | Exception:
        """Returns the next message, and notes which request it answers."""
        return self._noted(await self._inner.receive())

    async def aclose(self) -> None:
        """Closes the stream."""
        await self._inner.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        return self._noted(await self._inner.__anext__())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()

    def _noted(self, item: SessionMessage | Exception) -> SessionMessage | Exception:
        message = item.message if isinstance(item, SessionMessage) else None
        if isinstance(message, JSONRPCResponse):
            self._requests.answer(message.id)
        elif isinstance(message, JSONRPCError) and message.id is not None:
            sent = self._requests.of(message.id)
            if sent is not None and _is_answer(sent, message):
                self._requests.answer(message.id)
        return item


def _is_answer(sent: Sent, error: JSONRPCError) -> bool:
    """Tells whether an error is the server's: the SDK makes some up where a request failed or a response broke off."""
    whole = sent.status is not None and 200 <= sent.status < 300 and error.error.code != CONNECTION_CLOSED
    return whole
