"""Defines the load for all contenders: the request, the tool and a model that answers at once.

A run of N steps has N decisions with one call each, and a last decision with the answer. This module is read in the
environment of the peers too, which has no part of the project: it imports nothing but the standard library.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AGENTS = Path(__file__).parent / "agents"
AGENT = "clerk"
TOOL = "file_card"
MODEL = "gpt-5-mini"
ANSWER = "The cards are filed."
INSTRUCTIONS = "You file cards, one after the other."
TEXT = "a card of two hundred characters, ".ljust(200, ".")
PRICE = {"input": "0.25", "cached_input": "0.025", "output": "2.00"}
_GOAL = re.compile(r"File (\d+) cards of (\d+) bytes; each reply takes (\d+) s\.")


@dataclass(frozen=True, slots=True)
class Load:
    """One run: its steps, the bytes of each result, and the seconds that the model takes for a reply."""

    steps: int
    size: int = 200
    delay: int = 0

    @property
    def goal(self) -> str:
        """Returns the request, from which the model reads what to play."""
        return f"File {self.steps} cards of {self.size} bytes; each reply takes {self.delay} s."


def load_of(goal: str) -> Load:
    """Reads a load out of its goal.

    Raises:
        ValueError: the text is no goal of ours.
    """
    found = _GOAL.search(goal)
    if found is None:
        raise ValueError("the request holds no goal of the benchmark")
    return Load(*(int(number) for number in found.groups()))


def arguments(load: Load, number: int) -> dict[str, Any]:
    """Returns the arguments of one call; each differs, so that no guard against repetition stops a run."""
    return {"number": number, "text": TEXT, "size": load.size}


def tool() -> dict[str, Any]:
    """Returns the tool as the model is told of it."""
    properties = {"number": {"type": "integer"}, "text": {"type": "string"}, "size": {"type": "integer"}}
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {
        "type": "function",
        "name": TOOL,
        "description": "File a card.",
        "parameters": parameters,
        "strict": False,
    }


def request(goal: str) -> dict[str, Any]:
    """Returns the first request of a run."""
    return {
        "model": MODEL,
        "instructions": INSTRUCTIONS,
        "input": [{"role": "user", "content": goal}],
        "tools": [tool()],
        "max_output_tokens": 2000,
    }


def seen(call: dict[str, str], result: str) -> list[dict[str, str]]:
    """Returns what a call and its result add to a conversation."""
    return [
        {"type": "function_call", **call},
        {"type": "function_call_output", "call_id": call["call_id"], "output": result},
    ]


def given(call: dict[str, str]) -> dict[str, Any]:
    """Returns the arguments of a call that the model proposes."""
    found: dict[str, Any] = json.loads(call["arguments"])
    return found
