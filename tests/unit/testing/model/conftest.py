"""Asks a scripted model, through the official OpenAI client."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from backstay.testing import ScriptedModel

GOAL = "Refund order A17 of 120 EUR to ann@example.com"


class Asker:
    """Asks a scripted model through the official client, with an idempotency key where a place is given."""

    def __init__(self, model: ScriptedModel, client: AsyncOpenAI) -> None:
        self.model = model
        self.client = client

    async def chat(self, place: str | None = None, goal: str = GOAL, **more: Any) -> ChatCompletion:
        messages = more.pop("messages", [{"role": "user", "content": goal}])
        headers = {"Idempotency-Key": place} if place else {}
        return await self.client.chat.completions.create(model="any", messages=messages, extra_headers=headers, **more)

    async def respond(self, place: str | None = None, given: Any = GOAL, **more: Any) -> Response:
        headers = {"Idempotency-Key": place} if place else {}
        return await self.client.responses.create(model="any", input=given, extra_headers=headers, **more)

    async def said(self, place: str | None = None, goal: str = GOAL, **more: Any) -> str | None:
        return (await self.chat(place, goal, **more)).choices[0].message.content


Ask = Callable[..., Any]


@pytest.fixture
async def ask() -> AsyncIterator[Ask]:
    """Start a scripted model and return who asks it; both are closed after the test."""
    async with AsyncExitStack() as stack:

        async def start(*given: Any) -> Asker:
            model = await stack.enter_async_context(ScriptedModel(*given))
            client = AsyncOpenAI(base_url=model.base_url, api_key="none", max_retries=0)
            return Asker(model, await stack.enter_async_context(client))

        yield start
