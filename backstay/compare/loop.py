"""An AutoGPT loop as a first tutorial has it: goal, think, choose an action, execute, observe, repeat.

Nothing but the model decides that it is done. Try it with any server that speaks OpenAI's chat API:
    python -m backstay.compare.loop "Refund 25.00 USD of order A17 for the torn lace."
"""

import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from openai import OpenAI

from backstay.compare.shop import Shop  # absolute, so that this file runs from anywhere

PROMPT = """You are an autonomous agent of an online shop. Think about the goal, then choose the next action by calling
a tool. Look at what it returns, and go on until the goal is reached. Then answer with what you did."""

TYPES = {str: "string", int: "integer", float: "number"}


def described(tool: Callable[..., str]) -> Any:
    """Describes a function to the model."""
    types = {name: {"type": TYPES[given.annotation]} for name, given in inspect.signature(tool).parameters.items()}
    schema = {"type": "object", "properties": types, "required": list(types)}
    return {"type": "function", "function": {"name": tool.__name__, "description": tool.__doc__, "parameters": schema}}


def execute(tools: Mapping[str, Callable[..., str]], action: Any) -> str:
    """Executes the action that the model chose; a failure is something to observe too."""
    try:
        return tools[action.name](**json.loads(action.arguments))
    except Exception as error:
        return f"error: {error!r}"


def autogpt(goal: str, tools: Mapping[str, Callable[..., str]], client: OpenAI, model: str) -> str | None:
    """Thinks and acts until the model answers without choosing an action."""
    messages: list[Any] = [{"role": "system", "content": PROMPT}, {"role": "user", "content": goal}]
    offered = [described(tool) for tool in tools.values()]
    while True:
        thought = client.chat.completions.create(model=model, messages=messages, tools=offered).choices[0].message
        messages.append(thought.model_dump(exclude_none=True))
        if not thought.tool_calls:
            return thought.content
        for chosen in thought.tool_calls:
            observed = execute(tools, getattr(chosen, "function", None))
            messages.append({"role": "tool", "tool_call_id": chosen.id, "content": observed})


if __name__ == "__main__":
    print(autogpt(sys.argv[1], Shop().tools(), OpenAI(), os.environ.get("MODEL", "gpt-5-mini")))
