"""A fleet knows which calls of its agents go over a queue of their own, and which over that of its runs."""

from collections.abc import Callable
from pathlib import Path

from backstay.adapters.agent.served_queues import ServedQueues
from backstay.app.application import application
from backstay.kernel.engine import CallKind
from backstay.settings import Settings

TOOLS = '''
from backstay.tools import tool

@tool(effect="read")
def look() -> str:
    """Looks."""
    return "seen"

@tool(effect="write", dedupe="tenant", dedupe_window="1h")
def pay() -> str:
    """Pays."""
    return "paid"
'''
MODEL = """
[model]
name = "gpt-5-mini"
account = "main"
near_limit = "gpt-5-nano"
fallback = ["gpt-5-mini", "gpt-4.1-mini"]
"""


def test_model_calls_of_an_account_and_shared_effects_have_queues_of_their_own(
    agent_folder: Callable[..., Path],
) -> None:
    agents = agent_folder("clerk", toml=MODEL, tools=TOOLS)
    agent_folder("desk", toml='[model]\nname = "gpt-5-mini"\n')
    app = application(Settings(agents=[agents], openai_base_url="http://127.0.0.1:1/v1"), only=["clerk", "desk"])
    told = ServedQueues(app.catalog, "agents").queues().queues
    assert {(one.queue, one.kind, one.alone): one.uses for one in told} == {
        ("agents", CallKind.MODELS, False): {"desk": ["gpt-5-mini"]},
        ("model-main", CallKind.MODELS, True): {"clerk": ["gpt-5-mini", "gpt-4.1-mini", "gpt-5-nano"]},
        ("agents", CallKind.TOOLS, False): {"clerk": ["look"]},
        ("agents-effects", CallKind.TOOLS, True): {"clerk": ["pay"]},
    }
