"""The queries that the documentation suggests for Temporal's UI are ones that a server takes."""

import re
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from backstay.adapters.engine.executions import listed
from backstay.adapters.engine.search_attributes import register

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "read-runs-in-temporal.md"
QUERIES = re.findall(r"\| `(WorkflowType .*)` \|", PAGE.read_text())


async def taken(client: Client, query: str) -> bool:
    """Tells whether the server takes a query."""
    try:
        async for _ in listed(client, query, limit=1):
            break
    except RPCError:
        return False
    return True


@pytest.mark.parametrize("query", QUERIES)
async def test_a_server_takes_the_query(client: Client, query: str) -> None:
    await register(client, mend="-")
    assert await taken(client, query)
    assert not await taken(client, query.replace("Backstay", "Nothing").replace("ExecutionStatus", "Nothing"))


def test_some_are_suggested() -> None:
    assert len(QUERIES) > 5
