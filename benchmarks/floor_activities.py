"""Implements the floor's two activities: one request to the model, one trivial tool."""

import json
from collections.abc import Callable
from typing import Any

import openai
from temporalio import activity

from .card import file_one
from .floor import ACT, DECIDE
from .load import TEXT, load_of, request


class FloorActivities:
    """The activities of the floor; they use the model's official client as its documentation shows."""

    def __init__(self, base_url: str) -> None:
        self._client = openai.AsyncOpenAI(api_key="none", base_url=base_url, max_retries=0)

    def all(self) -> list[Callable[..., Any]]:
        """Returns the activities for a worker to serve."""
        return [self.decide, self.act]

    @activity.defn(name=DECIDE)
    async def decide(self, goal: str) -> str:
        """Asks the model, and returns a call of constant length whatever it replies."""
        response = await self._client.responses.create(**request(goal))
        if not response.output:
            raise RuntimeError("the model's reply is empty")
        return json.dumps({"text": TEXT, "size": load_of(goal).size})

    @activity.defn(name=ACT)
    async def act(self, call: str) -> str:
        """Files the card."""
        return file_one(**json.loads(call))
