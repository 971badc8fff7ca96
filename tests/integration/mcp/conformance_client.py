"""Lists the tools of the server whose address is the last argument, and calls each, as a worker does."""

import asyncio
import sys
from typing import Any

from backstay.adapters.mcp.asking import ServerCall
from backstay.adapters.mcp.loop import server_loop
from backstay.adapters.mcp.pool import Pool
from backstay.adapters.mcp.server import Server
from backstay.kernel.mcp_pins import ListedTool
from backstay.tools.call import no_secret

VALUES: dict[str, Any] = {"number": 5, "integer": 5, "string": "five", "boolean": True}


def arguments(tool: ListedTool) -> dict[str, Any]:
    """Returns arguments that fit a plain schema."""
    properties: dict[str, Any] = tool.schema.get("properties", {})
    return {name: VALUES.get(one.get("type"), "five") for name, one in properties.items()}


async def work(pool: Pool) -> None:
    listing = await pool.list(no_secret)
    pool.pins = listing.digests
    for tool in listing.tools.values():
        call = ServerCall(tool.name, arguments(tool), {"backstay/idempotency-key": tool.name})
        print(await pool.call(call, "acme", no_secret))
    await pool.close()


if __name__ == "__main__":
    server = Server("conformance", url=sys.argv[-1])
    asyncio.run(server_loop().run(lambda: work(Pool(server))))
