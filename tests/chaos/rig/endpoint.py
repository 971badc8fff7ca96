"""A way to a server that can be slowed, cut, or made to lose every answer."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Self

CHUNK = 65_536
_GONE = (ConnectionError, OSError, asyncio.IncompleteReadError)


@dataclass(slots=True)
class Endpoint:
    """Carries connections to a port of this machine.

    A request whose client has gone before it was carried on is lost: the server never sees it.

    Attributes:
        target: the server's port.
        delay: the seconds for which a request is under way.
        cut: refuses every connection.
        mute: carries requests, and breaks the connection where the answer would come.
        port: where clients connect.
    """

    target: int
    delay: float = 0.0
    cut: bool = False
    mute: bool = False
    port: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, target: int) -> AsyncGenerator[Self]:
        """Opens a way to a port."""
        way = cls(target)
        server = await asyncio.start_server(way._carry, "127.0.0.1", 0, backlog=1_024)
        way.port = server.sockets[0].getsockname()[1]
        try:
            yield way
        finally:
            server.close()
            way.sever()

    def sever(self) -> None:
        """Breaks all connections that are open."""
        for one in [*self._open]:
            one.transport.abort()

    def mend(self) -> None:
        """Makes it a good way again."""
        self.delay, self.cut, self.mute = 0.0, False, False

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.cut:
            writer.transport.abort()
            return
        with contextlib.suppress(*_GONE):
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            self._open |= {writer, back}
            try:
                await asyncio.gather(self._requests(reader, back), self._answers(there, writer))
            finally:
                self._open -= {writer, back}
                writer.transport.abort()
                back.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            if self.delay:
                await asyncio.sleep(self.delay)
            if self.cut or reader.at_eof() or reader.exception() is not None:
                break
            back.write(data)
            await back.drain()
        back.transport.abort()

    async def _answers(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await there.read(CHUNK):
            if self.mute or self.cut:
                break
            writer.write(data)
            await writer.drain()
        if self.mute or self.cut:
            writer.transport.abort()
        else:
            writer.close()
