"""Asks a model over real HTTP, as every test of the adapter does."""

import traceback
from collections.abc import Callable

import pytest

from backstay.adapters.model.openai import OpenAIModel
from backstay.contracts.admission import Api, ModelSpec, ToolSpec
from backstay.contracts.conversation import Item, ModelReply, ModelRequest, Said
from backstay.errors import ModelError
from backstay.testing import ScriptedModel, Turn

KEY = "sk-secret-key-of-this-test"
Opened = Callable[..., OpenAIModel]


def a_request(
    api: Api, *conversation: Item, name: str = "gpt-6-sol", tools: tuple[ToolSpec, ...] = (), step: int = 1
) -> ModelRequest:
    """A request of a run's step."""
    return ModelRequest(
        model=ModelSpec(name=name, api=api, max_output_tokens=500, give_up_after=60, price=None),
        instructions="Be brief.",
        tools=tools,
        conversation=conversation or (Said("where is A17?"),),
        max_output_tokens=400,
        idempotency_key=f"run-1/decide-{step}",
    )


def call_id(index: int) -> str:
    """The id of a call of step 1."""
    return f"1-{index}"


async def replied(model: Opened, api: Api, turn: Turn, limit: float = 10.0) -> ModelReply:
    """The reply to a request that a server answers with one turn."""
    async with ScriptedModel([turn]) as server:
        return await model(server.base_url, limit).reply(a_request(api), call_id)


async def failed(model: Opened, api: Api, turn: Turn, limit: float = 10.0) -> ModelError:
    """The error of such a request: one line, and never the key."""
    with pytest.raises(ModelError) as caught:
        await replied(model, api, turn, limit)
    assert len(str(caught.value)) <= 1_000
    assert KEY not in "".join(traceback.format_exception(caught.value))
    return caught.value
