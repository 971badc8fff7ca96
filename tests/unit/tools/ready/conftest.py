"""Calls of ready-made tools as a worker would make them."""

from collections.abc import Callable

import pytest

from backstay.tools import ToolCall


@pytest.fixture
def call() -> Callable[..., ToolCall]:
    def made(run_id: str = "run-1", tenant: str = "acme", key: str = "key-1") -> ToolCall:
        return ToolCall(run_id=run_id, step=1, call_id="c1", idempotency_key=key, agent="clerk", tenant=tenant)

    return made
