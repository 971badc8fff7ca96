"""The two activities of the floor: one request to the model, one trivial tool."""

from collections.abc import Callable
from typing import Any

import openai
from temporalio import activity

from .floor import ACT, DECIDE
from .load import TEXT, floor_request


class FloorActivities:
    """Asks the model at `base_url` with its official client, in the way its documentation shows."""

    def __init__(self, base_url: str) -> None:
        self._client = openai.AsyncOpenAI(api_key="none", base_url=base_url, max_retries=0)
        self._request = floor_request()

    def all(self) -> list[Callable[..., Any]]:
        """What a worker serves."""
        return [self.decide, self.act]

    @activity.defn(name=DECIDE)
    async def decide(self) -> str:
        """A text of a constant length, once the model has replied."""
        response = await self._client.responses.create(**self._request)
        if not response.output:
            raise RuntimeError("the model said nothing")
        return TEXT

    @activity.defn(name=ACT)
    async def act(self, text: str) -> str:
        """The text, at once."""
        return text
