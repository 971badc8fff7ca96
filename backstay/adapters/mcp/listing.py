"""Lists the tools of a server: all pages of the list, and an end to it."""

import json
from typing import Any

from mcp.client.session import ClientSession
from mcp_types import PaginatedRequestParams

from backstay.errors import UnreachedError
from backstay.kernel.mcp_pins import Listing, listing_of

MOST_PAGES = 20
MOST_TOOLS = 500
MOST_BYTES = 2_000_000


async def listed(name: str, session: ClientSession) -> Listing:
    """Returns the tools of a server.

    Args:
        name: of the server, for errors.
        session: the connection to it.

    Raises:
        UnreachedError: the list has no end, or is too long.
    """
    entries: list[dict[str, Any]] = []
    seen: set[str] = set()
    cursor: str | None = None
    size = 0
    for _ in range(MOST_PAGES):
        page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor))
        for tool in page.tools:
            entry = tool.model_dump(by_alias=True, mode="json", exclude_none=True)
            size += len(json.dumps(entry))
            entries.append(entry)
        cursor = page.next_cursor
        if len(entries) > MOST_TOOLS or size > MOST_BYTES:
            raise UnreachedError(f"`{name}` lists more than {MOST_TOOLS} tools or {MOST_BYTES} bytes of them")
        if cursor is None:
            return listing_of(entries)
        if cursor in seen:
            break
        seen.add(cursor)
    raise UnreachedError(f"the list of the tools of `{name}` has no end")
