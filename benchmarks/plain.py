"""Runs the loop in one process without an engine: what ends with its process, and is asked by lines of text."""

from typing import Any

from .naive_activities import NaiveActivities


async def run(activities: NaiveActivities, goal: str) -> str:
    """Asks and acts until the model answers."""
    conversation: list[dict[str, Any]] = [{"role": "user", "content": goal}]
    while "answer" not in (decision := await activities.decide(conversation)):
        conversation += await activities.act(decision)
    return decision["answer"]
