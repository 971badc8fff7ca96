"""One call in many spellings: counted as one, and never run with arguments that the model did not write."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from temporalio.client import Client

from backstay.testing import Call, Raw, Reply
from backstay.testing.runtime import local_runtime

TOOLS = '''
from decimal import Decimal
from pathlib import Path
from backstay.tools import tool

@tool(effect="write")
def press(key: str, times: int = 1, amount: Decimal = Decimal(1)) -> str:
    """Presses."""
    return "ok"

@tool(effect="once", dedupe="run")
def settle(amount: Decimal) -> str:
    """Settles."""
    return "settled"

@tool(effect="write")
def pay(order: str = "all", amount: float | None = None) -> str:
    """Pays an amount, or the whole balance."""
    with Path(__file__).with_name("paid.txt").open("a") as file:
        file.write(f"{order} {amount}\\n")
    return "paid"
'''
SPELLINGS = {
    "the decimal": ['{"key":"a","amount":"1"}', '{"key":"a","amount":"1.0"}', '{"key":"a","amount":1.00}'],
    "the default": ['{"key":"a"}', '{"key":"a","times":1}', '{"key":"a","times":1,"amount":"1"}'],
    "the null": ['{"key":"a"}', '{"key":"a","times":null}', '{"times":null,"key":"\\u0061"}'],
}
ARGUMENTS = {"order": "A17", "amount": 5}


def chat(call: dict[str, Any]) -> Raw:
    message = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", **call}]}
    return Raw(200, json.dumps({"choices": [{"finish_reason": "tool_calls", "message": message}]}))


PAYS = {
    "other name": chat({"function": {"name": "pay", "parameters": ARGUMENTS}}),
    "beside": chat({"function": {"name": "pay", "arguments": None}, "arguments": json.dumps(ARGUMENTS)}),
    "nobody knows": chat({"function": {"name": "pay", "payload": ARGUMENTS}}),
}


async def test_one_call_in_many_spellings(client: Client, agent_folder: Callable[..., Path]) -> None:
    agents = agent_folder("clerk", tools=TOOLS)
    (agents / "clerk" / "agent.toml").write_text('instructions = "x"\n[model]\napi = "chat"\n')
    scripts = {
        f"<{name}>": [Reply(calls=[Call("press", one)]) for one in several] for name, several in SPELLINGS.items()
    }
    scripts["<huge>"] = [Reply(calls=[Call("settle", '{"amount": "1e1000000"}')]), Reply("done")]
    scripts |= {f"<{name}>": [turn, Reply("done")] for name, turn in PAYS.items()}
    async with local_runtime(scripts, agents=agents, client=client) as runtime:
        ends = await asyncio.gather(*(runtime.run_to_end({"goal": goal, "agent": "clerk"}) for goal in scripts))
    results = dict(zip(scripts, ends, strict=True))
    for name in SPELLINGS:
        assert (results[f"<{name}>"].stop_reason, results[f"<{name}>"].steps) == ("no_progress", 3), name
    assert (results["<huge>"].stop_reason, results["<huge>"].in_flight) == ("completed", [])
    assert all(results[f"<{name}>"].stop_reason == "completed" for name in PAYS)
    assert (agents / "clerk" / "paid.txt").read_text() == "A17 5.0\n" * 2
