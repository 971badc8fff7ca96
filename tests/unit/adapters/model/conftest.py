"""Shares both APIs, and adapters that are closed after the test."""

from collections.abc import AsyncIterator

import pytest

from backstay.adapters.model.openai import OpenAIModel
from backstay.contracts.admission import Api

from .asking import KEY, Opened


@pytest.fixture(params=["chat", "responses"])
def api(request: pytest.FixtureRequest) -> Api:
    """One of the two APIs."""
    return request.param


@pytest.fixture
async def model() -> AsyncIterator[Opened]:
    """Opens adapters."""
    opened: list[OpenAIModel] = []

    def open_one(base_url: str, timeout: float = 10.0, key: str | None = KEY) -> OpenAIModel:
        opened.append(OpenAIModel(key, base_url, timeout))
        return opened[-1]

    yield open_one
    for one in opened:
        await one.close()
