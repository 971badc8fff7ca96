"""Asks the model with the whole conversation, and acts: for the naive loop, and for the loop without an engine."""

from collections.abc import Callable
from typing import Any

import openai
from temporalio import activity

from .card import file_one
from .load import given, request, seen
from .naive import ACT, DECIDE


class NaiveActivities:
    """Two functions over the model's official client."""

    def __init__(self, base_url: str) -> None:
        self._client = openai.AsyncOpenAI(api_key="none", base_url=base_url, max_retries=0)

    def all(self) -> list[Callable[..., Any]]:
        """Returns the activities for a worker to serve."""
        return [self.decide, self.act]

    @activity.defn(name=DECIDE)
    async def decide(self, conversation: list[dict[str, Any]]) -> dict[str, str]:
        """Asks the model, and returns its call or its answer."""
        response = await self._client.responses.create(**{**request(""), "input": conversation})
        for item in response.output:
            if item.type == "function_call":
                return {"call_id": item.call_id, "name": item.name, "arguments": item.arguments}
        return {"answer": response.output_text}

    @activity.defn(name=ACT)
    async def act(self, call: dict[str, str]) -> list[dict[str, str]]:
        """Files the card, and returns what the conversation gains."""
        arguments = given(call)
        return seen(call, file_one(arguments["text"], arguments["size"]))
