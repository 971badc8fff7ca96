"""People's systems are told of approvals, by a message they can check."""

import asyncio
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from temporalio.client import Client

from backstay.adapters.notice.webhook import signature
from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime

TOOLS = '''
from backstay.tools import tool

@tool(effect="write")
def pay(amount: int) -> str:
    """Pays."""
    return "paid"
'''


class Receiver:
    """A web server that takes notices, or refuses them all."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.bodies: list[dict[str, Any]] = []
        self.signed: list[bool] = []

    async def take(self, request: web.Request) -> web.Response:
        """Checks the signature as a receiver would."""
        body = await request.read()
        given = request.headers["Backstay-Signature"]
        at = int(given.split(",")[0].removeprefix("t="))
        self.signed.append(hmac.compare_digest(given, signature("long-secret", at, body)))
        self.bodies.append(await request.json())
        return web.Response(status=self.status)


async def told(client: Client, agent_folder: Callable[..., Path], status: int) -> tuple[Receiver, dict[str, Any]]:
    """Lets a run ask, be answered and end, with a receiver that answers with a status."""
    receiver = Receiver(status)
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    toml = f"""[approval]
require = {{ pay = "finance" }}
groups = {{ finance = ["alice"] }}
notify = "http://127.0.0.1:{port}/hook"
"""
    agents = agent_folder(toml=toml, tools=TOOLS)
    script = [Reply(calls=[Call("pay", {"amount": 5})]), Reply("done")]
    async with local_runtime(script, agents=agents, client=client, webhook_secret="long-secret") as runtime:
        handle = await runtime.start({"goal": "pay", "agent": "clerk"})
        while not receiver.bodies:
            await asyncio.sleep(0.05)
        approval_id = receiver.bodies[0]["approval"]["approval_id"]
        await handle.execute_update("approve", {"approval_id": approval_id, "by": "alice"})
        result = await handle.result()
    await runner.cleanup()
    return receiver, result


async def test_a_webhook_is_told_when_an_approval_opens_and_closes(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    receiver, _ = await told(client, agent_folder, 204)
    assert [(body["event"], body["end"]) for body in receiver.bodies] == [("opened", None), ("closed", "approved")]
    assert receiver.signed == [True, True]
    assert receiver.bodies[0]["approval"]["approvers"] == ["alice"]
    assert "may answer: alice" in receiver.bodies[0]["text"].splitlines()


async def test_a_webhook_that_fails_blocks_nothing(client: Client, agent_folder: Callable[..., Path]) -> None:
    receiver, result = await told(client, agent_folder, 500)
    assert result["status"] == "completed"
    assert len(receiver.bodies) >= 2
