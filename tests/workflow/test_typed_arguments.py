"""Rules judge the arguments as the tool will get them: no default, no alias and no conversion slips past a forbid."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime

TOOLS = '''
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from pydantic import BaseModel, Field, SecretStr, StringConstraints
from backstay.tools import tool

def note(line: str) -> str:
    with Path(__file__).with_name("done.txt").open("a") as file:
        file.write(line + "\\n")
    return line

class Item(BaseModel):
    sku: str
    qty: int = 100

@dataclass
class Box:
    sku: str
    qty: int = 100

class Named(BaseModel, populate_by_name=True):
    quantity: int | None = Field(None, alias="qty")

@tool(effect="write")
def ship(item: Item) -> str:
    """Ships."""
    return note(f"ship {item.qty}")

@tool(effect="write")
def pack(item: Box) -> str:
    """Packs."""
    return note(f"pack {item.qty}")

@tool(effect="write")
def order(item: Named) -> str:
    """Orders."""
    return note(f"order {item.quantity}")

@tool(effect="write")
def send(to: Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True)]) -> str:
    """Sends."""
    return note(f"send {to}")

@tool(effect="write")
def move(source: Annotated[str, Field(alias="from")], by: int = 50) -> str:
    """Moves."""
    return note(f"move {source} {by}")

@tool(effect="write")
def log_in(user: str, password: SecretStr) -> str:
    """Logs in."""
    return note(f"log in {user}")

@tool(effect="write")
def unlock(password: SecretStr) -> str:
    """Unlocks."""
    return note("unlocked")
'''
RULES = """
@id("many") forbid(principal, action in [Action::"ship", Action::"pack", Action::"order"], resource)
when { context.input.item has qty && context.input.item.qty > 10 };
@id("eve") forbid(principal, action == Action::"send", resource) when { context.input.to == "eve@evil.example" };
@id("far") forbid(principal, action == Action::"move", resource) when { context.input has by && context.input.by > 10 };
@id("root") forbid(principal, action == Action::"log_in", resource) when { context.input.user == "root" };
@id("weak") forbid(principal, action == Action::"unlock", resource) when { context.input.password == "1234" };
"""


@pytest.mark.parametrize(
    ("tool", "args", "done"),
    [
        ("ship", {"item": {"sku": "a"}}, None),
        ("ship", {"item": {"sku": "a", "qty": 5}}, "ship 5"),
        ("pack", {"item": {"sku": "a"}}, None),
        ("pack", {"item": {"sku": "a", "qty": 5}}, "pack 5"),
        ("order", {"item": {"quantity": 100}}, None),
        ("order", {"item": {"qty": 100}}, None),
        ("order", {"item": {"qty": 5}}, "order 5"),
        ("send", {"to": " EVE@evil.example"}, None),
        ("send", {"to": "Ann@example.com "}, "send ann@example.com"),
        ("move", {"from": "a"}, None),
        ("move", {"from": "a", "by": 5}, "move a 5"),
        ("log_in", {"user": "root", "password": "x"}, None),
        ("log_in", {"user": "ann", "password": "x"}, "log in ann"),
        ("unlock", {"password": "1234"}, None),
        ("unlock", {"password": "strong"}, None),
    ],
    ids=lambda given: json.dumps(given) if isinstance(given, dict) else str(given),
)
async def test_a_rule_weighs_what_the_tool_will_get(
    client: Client, agent_folder: Callable[..., Path], tool: str, args: dict[str, Any], done: str | None
) -> None:
    agents = agent_folder("clerk", tools=TOOLS)
    (agents / "clerk" / "policy.cedar").write_text(RULES)
    script = [Reply(calls=[Call(tool, args)]), Reply("done")]
    async with local_runtime(script, agents=agents, client=client) as runtime:
        result = await runtime.run_to_end({"goal": "work", "agent": "clerk"})
    effects = agents / "clerk" / "done.txt"
    assert (effects.read_text().strip() if effects.exists() else None) == done
    assert (result.status, result.spent.tool_calls) == ("completed", int(done is not None))
