"""Defines the load for both contenders: the model's script, the request, and a text of constant length.

A run of N steps has N decisions with one call each, and a last decision with the answer.
"""

from pathlib import Path
from typing import Any

AGENTS = Path(__file__).parent / "agents"
AGENT = "clerk"
TOOL = "file_card"
MODEL = "gpt-5-mini"
GOAL = "File the cards."
INSTRUCTIONS = "You file cards, one after the other."
TEXT = "a card of two hundred characters, ".ljust(200, ".")
PRICE = {"input": "0.25", "cached_input": "0.025", "output": "2.00"}


def script(steps: int) -> dict[str, Any]:
    """Returns the model's script in its file format; each call differs, so that no repetition guard stops the run."""
    calls = [{"calls": [{"tool": TOOL, "args": {"number": number, "text": TEXT}}]} for number in range(steps)]
    return {GOAL: [*calls, {"text": "The cards are filed."}]}


def floor_request() -> dict[str, Any]:
    """Returns the floor's constant request, with the same tool but without a conversation."""
    parameters = {
        "type": "object",
        "properties": {"number": {"type": "integer"}, "text": {"type": "string"}},
        "required": ["number", "text"],
        "additionalProperties": False,
    }
    return {
        "model": MODEL,
        "instructions": INSTRUCTIONS,
        "input": [{"role": "user", "content": GOAL}],
        "tools": [
            {
                "type": "function",
                "name": TOOL,
                "description": "File a card.",
                "parameters": parameters,
                "strict": False,
            }
        ],
        "max_output_tokens": 2000,
    }
