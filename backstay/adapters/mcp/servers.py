"""Holds the MCP servers of one agent."""

import asyncio
from collections.abc import Iterable, Mapping

from backstay.errors import ConfigurationError, SecretError, UnreachedError
from backstay.kernel.mcp_pins import Listing

from .loop import ServerLoop, server_loop
from .pool import Pool
from .server import ReadSecret, Server


class Servers:
    """The servers of an agent, each with its connections."""

    def __init__(self, servers: Iterable[Server]) -> None:
        """Prepares connections and opens none."""
        self.loop: ServerLoop = server_loop()
        self.pools: Mapping[str, Pool] = {server.name: Pool(server) for server in servers}

    def list(self, read: ReadSecret) -> dict[str, Listing | ConfigurationError]:
        """Asks all servers for their tools, side by side, and pins what they list.

        Args:
            read: reads the secrets that servers are given.

        Returns:
            The list of each server, or why there is none.
        """
        return self.loop.wait(lambda: self._listed(read))

    async def close(self) -> None:
        """Closes all connections, and waits until the programs have gone."""
        await self.loop.run(self._closed)

    async def _listed(self, read: ReadSecret) -> dict[str, Listing | ConfigurationError]:
        found = await asyncio.gather(*(self._one(pool, read) for pool in self.pools.values()))
        return dict(zip(self.pools, found, strict=True))

    async def _one(self, pool: Pool, read: ReadSecret) -> Listing | ConfigurationError:
        try:
            listing = await pool.list(read)
        except (UnreachedError, SecretError) as error:
            return ConfigurationError(str(error))
        pool.pins, pool.about = listing.digests, listing.about
        return listing

    async def _closed(self) -> None:
        await asyncio.gather(*(pool.close() for pool in self.pools.values()))
