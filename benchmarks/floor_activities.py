"""Implements the floor's two activities: one request to the model, one trivial tool."""

from collections.abc import Callable
from typing import Any

import openai
from temporalio import activity

from .floor import ACT, DECIDE
from .load import TEXT, floor_request


class FloorActivities:
    """The activities of the floor; they use the model's official client as its documentation shows."""

    def __init__(self, base_url: str) -> None:
        self._client = openai.AsyncOpenAI(api_key="none", base_url=base_url, max_retries=0)
        self._request = floor_request()

    def all(self) -> list[Callable[..., Any]]:
        """Returns the activities for a worker to serve."""
        return [self.decide, self.act]

    @activity.defn(name=DECIDE)
    async def decide(self) -> str:
        """Asks the model, and returns a text of constant length whatever it replies."""
        response = await self._client.responses.create(**self._request)
        if not response.output:
            raise RuntimeError("the model's reply is empty")
        return TEXT

    @activity.defn(name=ACT)
    async def act(self, text: str) -> str:
        """Returns the text at once."""
        return text
