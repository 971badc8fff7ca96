"""The one place that says to which address a request connects: each is judged, and the judged one is connected to.

A name is resolved once for each connection, and refused where any of its addresses is not public. What is connected to
passes the socket's making, addresses that are written out in a URL too. The name itself stays what certificates are
checked for.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

from .public_addresses import Address, Network, address_of, is_public

LookUp = Callable[[str, int], Awaitable[Sequence[str]]]
Exceptions = Collection[tuple[Address, int]]
RESOLVE_SECONDS: Final = 5.0


class NotPublicError(OSError):
    """Raised where a request would leave the public network; the guard keeps it, because libraries wrap it."""


async def look_up(host: str, port: int) -> list[str]:
    """Asks the system for the addresses of a host; it reads odd spellings of addresses too.

    Raises:
        OSError: there is none, or none in time.
    """
    found = asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    async with asyncio.timeout(RESOLVE_SECONDS):
        return [str(address[0]) for _, _, _, _, address in await found]


@dataclass(slots=True)
class Guard:
    """Judges every address of a request.

    Attributes:
        deny: networks that are refused although they are public.
        also: pairs of address and port that are let through although they are not public.
        look_up: resolves a host.
        refused: True once an address was refused.
    """

    deny: Sequence[Network] = ()
    also: Exceptions = ()
    look_up: LookUp = look_up
    refused: bool = field(default=False, init=False)

    def check(self, text: str, port: int) -> Address:
        """Returns the address that a text spells.

        Raises:
            NotPublicError: nothing may be connected to it.
        """
        address = address_of(text)
        if address is None or not ((address, port) in self.also or is_public(address, self.deny)):
            self.refused = True
            raise NotPublicError("the address is not public")
        return address

    def connect(self, info: tuple[Any, ...]) -> socket.socket:
        """Makes the socket for a connection, which nothing passes by.

        Raises:
            NotPublicError: nothing may be connected to that address.
        """
        family, kind, protocol, _, target = info
        self.check(str(target[0]), int(target[1]))
        return socket.socket(family, kind, protocol)


class CheckedResolver(AbstractResolver):
    """Resolves a name, and refuses it where any of its addresses is not public."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Returns the addresses of a name.

        Raises:
            NotPublicError: one of them is not public.
        """
        found = [self._guard.check(text, port) for text in dict.fromkeys(await self._guard.look_up(host, port))]
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in found
        ]

    async def close(self) -> None:
        """Has nothing to close."""
