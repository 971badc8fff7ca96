"""Completes what is typed in a shell: ids of runs, agents, states. Where it knows nothing it is silent.

Loads nothing before it is asked, because every command loads it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

_LATEST = 200
_PATIENCE_SECONDS = 2.0

Complete = Callable[[str], list[str]]


def _silent(find: Callable[[], Iterable[str]]) -> Complete:
    """Returns a completion that offers the found words which begin as typed, and nothing where finding fails."""

    def complete(incomplete: str) -> list[str]:
        disabled = logging.root.manager.disable
        logging.disable()
        try:
            return [word for word in find() if word.startswith(incomplete)]
        except Exception:
            return []
        finally:
            logging.disable(disabled)

    return complete


def _runs() -> list[str]:
    return asyncio.run(_latest_runs())


async def _latest_runs() -> list[str]:
    from backstay.adapters.engine.executions import listed
    from backstay.client.connection import connect
    from backstay.client.run_filter import RunFilter
    from backstay.settings import load_settings

    async with asyncio.timeout(_PATIENCE_SECONDS):
        client = await connect()
        query = RunFilter().query(load_settings().task_queue)
        return [found.workflow_id async for found in listed(client, query, limit=_LATEST)]


def _agents() -> list[str]:
    from backstay.app.folders import SHIPPED_AGENTS
    from backstay.settings import load_settings

    roots = load_settings().agent_folders(SHIPPED_AGENTS)
    found = {file.parent.name for root in roots for file in root.glob("*/agent.toml")}
    return sorted(found | {"default"})


def _states() -> Iterable[str]:
    from backstay.client.run_filter import STATES

    return STATES


def _reasons() -> Iterable[str]:
    from backstay.client.run_filter import REASONS

    return REASONS


run_ids = _silent(_runs)
agent_names = _silent(_agents)
states = _silent(_states)
stop_reasons = _silent(_reasons)
