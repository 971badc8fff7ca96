"""The agents of the fleet: their tools do everything at the shop, and their limits are near."""

from pathlib import Path

TOOLS = '''
import os

import aiohttp

from backstay.tools import NOT_HAPPENED, Happened, ToolCall, tool

SHOP = os.environ["SHOP"]

async def ask(path: str, facts: dict) -> dict:
    async with aiohttp.ClientSession() as session, session.post(SHOP + path, json=facts) as answer:
        answer.raise_for_status()
        return await answer.json()

async def done(
    call: ToolCall, tool: str, item: str, pause: float = 0.2, *, always: bool = False, amount: int = 0
) -> str:
    facts = {
        "key": call.idempotency_key, "run": call.run_id, "call": call.call_id, "tenant": call.tenant,
        "agent": call.agent, "tool": tool, "item": item, "pause": pause, "always": always, "amount": amount,
    }
    return (await ask("/effect", facts))["text"]

async def booked(call: ToolCall, item: str, pause: float = 0.2):
    said = await ask("/booked", {"key": call.idempotency_key})
    return Happened(f"booked {item}") if said["booked"] else NOT_HAPPENED

@tool(effect="read", timeout="2s")
async def look(call: ToolCall, item: str, pause: float) -> str:
    """Looks something up; the shop books that, too."""
    return await done(call, "look", item, pause)

@tool(effect="write", timeout="2s")
async def store(call: ToolCall, item: str, pause: float) -> str:
    """Stores something, once for each key."""
    return await done(call, "store", item, pause)

@tool(effect="once", timeout="2s", reconcile=booked)
async def send(call: ToolCall, item: str, pause: float) -> str:
    """Sends something, each time that it is asked; can tell later whether it did."""
    return await done(call, "send", item, pause, always=True)

@tool(effect="once", timeout="2s")
async def wire(call: ToolCall, item: str, pause: float) -> str:
    """Wires something, each time that it is asked; only people can tell whether it did."""
    return await done(call, "wire", item, pause, always=True)

@tool(effect="once", timeout="2s", reconcile=booked)
async def transfer(call: ToolCall, item: str, pause: float) -> str:
    """Transfers something, with a person's consent."""
    return await done(call, "transfer", item, pause, always=True)

@tool(effect="once", timeout="2s", reconcile=booked, dedupe="tenant")
async def share(call: ToolCall, item: str) -> str:
    """Does for all runs of a tenant what must happen once for them all."""
    return await done(call, "share", item, always=True)

@tool(effect="write", timeout="2s", dedupe="tenant")
async def publish(call: ToolCall, item: str) -> str:
    """Does the same, once for each key: only runs that asked under keys of their own could do it twice."""
    return await done(call, "publish", item)

@tool(effect="write", timeout="2s", exposure={"refunds_usd": lambda amount: amount})
async def refund(call: ToolCall, item: str, pause: float, amount: int) -> str:
    """Refunds an amount, once for each key."""
    return await done(call, "refund", item, pause, amount=amount)
'''

TOML = """
instructions = "You are a careful clerk."
[model]
give_up_after = "120s"
[approval]
require = {{ transfer = "finance" }}
expires_after = "{expires}"
unknown = "ops"
groups = {{ finance = ["alice", "bob"], ops = ["olga"] }}
[budget]
steps = 40
tool_calls = 80
tokens = 4_000_000
usd = "0.40"
seconds = 1_800
[stop]
failures = 12
denials = 12
[exposure.refunds_usd]
run = "{run}"
day = "{day}"
"""

ORG = """
[limits.organisation]
usd = {{ day = "{organisation}" }}
draw = "0.05"
[limits.tenants.acme]
usd = {{ day = "{acme}" }}
[limits.tenants.busy]
runs_at_once = {at_once}
"""


def write_agents(folder: Path, *, expires: str, run: int, day: int) -> Path:
    """Writes the agents `clerk`, whose approvals expire soon, and `patient`, whose wait for a day."""
    for name, after in (("clerk", expires), ("patient", "24h")):
        (folder / name).mkdir(parents=True)
        (folder / name / "tools.py").write_text(TOOLS)
        (folder / name / "agent.toml").write_text(TOML.format(expires=after, run=run, day=day))
    return folder


def write_organisation(folder: Path, *, organisation: str, acme: str, at_once: int) -> Path:
    """Writes the limits over many runs."""
    folder.mkdir(parents=True)
    (folder / "org.toml").write_text(ORG.format(organisation=organisation, acme=acme, at_once=at_once))
    return folder
