"""Lists the tools of the server whose address is the last argument, and calls each, as a worker does.

Questions of the server are answered as by a person who leaves out all that may be left out. Where the scenario has
credentials a token is fetched with them first, as an operator's own program would, and is handed over as a secret.
"""

import asyncio
import json
import os
import sys
from typing import Any
from urllib.parse import urlsplit

import httpx2

from backstay.adapters.mcp.asking import Dialogue, ServerCall, asked_by
from backstay.adapters.mcp.loop import server_loop
from backstay.adapters.mcp.pool import Pool
from backstay.adapters.mcp.server import ReadSecret, Server
from backstay.contracts.asked import Asked, Replies, Reply
from backstay.kernel.mcp_pins import ListedTool
from backstay.tools.call import no_secret

SCENARIO = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
CONTEXT: dict[str, str] = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
VALUES: dict[str, Any] = {"number": 5, "integer": 5, "string": "five", "boolean": True}


def arguments(tool: ListedTool) -> dict[str, Any]:
    """Returns arguments that fit a plain schema."""
    properties: dict[str, Any] = tool.schema.get("properties", {})
    return {name: VALUES.get(one.get("type"), "five") for name, one in properties.items()}


def answered(asked: Asked) -> Replies:
    """Accepts each form as it is."""
    replies: dict[str, Reply] = {}
    for question in asked.questions:
        content = question.form.filled("{}")
        assert not isinstance(content, str), content
        replies[question.key] = Reply(action="accept", content=content)
    return Replies(replies=replies, state=asked.state, begins_again=asked.begins_again)


def token(address: str) -> str:
    """Fetches a token with the credentials of the scenario."""
    with httpx2.Client() as web:
        issuer = str(
            web.get(f"{origin(address)}/.well-known/oauth-protected-resource/mcp").json()["authorization_servers"][0]
        )
        found: dict[str, str] = web.get(f"{issuer.rstrip('/')}/.well-known/oauth-authorization-server").json()
        known = (CONTEXT["client_id"], CONTEXT["client_secret"])
        given = web.post(found["token_endpoint"], data={"grant_type": "client_credentials"}, auth=known)
        return given.raise_for_status().json()["access_token"]


def origin(address: str) -> str:
    """Returns an address without its path."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


async def work(pool: Pool, read: ReadSecret) -> None:
    listing = await pool.list(read)
    pool.pins = listing.digests
    for tool in listing.tools.values():
        replies: Replies | None = None
        while True:
            dialogue = Dialogue(replies, begins_again=True)
            call = ServerCall(tool.name, arguments(tool), {"backstay/idempotency-key": tool.name}, dialogue)
            answer = await pool.call(call, "acme", read)
            asked = asked_by(answer, dialogue, answered=True)
            if asked is None:
                break
            replies = answered(asked)
        print(answer)
    await pool.close()


def main(address: str) -> None:
    """Plays the scenario."""
    bearer = f"Bearer {token(address)}" if "client_secret" in CONTEXT else ""
    headers = {"Authorization": "secret:BEARER"} if bearer else {}
    server = Server("conformance", url=address, headers=headers, asks="elicitation" in SCENARIO)
    read: ReadSecret = (lambda _: bearer) if bearer else no_secret
    asyncio.run(server_loop().run(lambda: work(Pool(server), read)))


if __name__ == "__main__":
    main(sys.argv[-1])
