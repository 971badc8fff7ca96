"""Workers that name shared effects under different keys would do one effect twice: they do not serve together."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from temporalio.client import Client

from backstay.app.application import application
from backstay.app.worker import prepare
from backstay.errors import ConfigurationError
from backstay.testing.runtime import local_runtime

TOOLS = '''
from backstay.tools import tool

@tool(effect="once", dedupe="tenant")
def pay(amount: int) -> str:
    """Pays an amount."""
    return "paid"
'''
OURS, THEIRS = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))


async def test_a_worker_with_another_key_is_refused_and_one_with_the_same_is_not(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    agents = agent_folder("desk", "", TOOLS)
    async with local_runtime(agents=agents, client=client, fleet_key=OURS) as runtime:
        await prepare(application(runtime.settings), client, print)
        another = application(runtime.settings.model_copy(update={"fleet_key": THEIRS}))
        with pytest.raises(ConfigurationError, match="BACKSTAY_FLEET_KEY") as refused:
            await prepare(another, client, print)
        assert "set the same value on every worker" in str(refused.value)


async def test_agents_that_share_no_effect_need_no_key(client: Client, agent_folder: Callable[..., Path]) -> None:
    agents = agent_folder("desk", "", TOOLS.replace(', dedupe="tenant"', ""))
    async with local_runtime(agents=agents, client=client, fleet_key="no key at all") as runtime:
        await prepare(application(runtime.settings), client, print)
