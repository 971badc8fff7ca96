"""Runs of three steps on every model server that is modelled here, by the name of its dialect and without it."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.client import Client

from backstay.testing.runtime import LocalRuntime, local_runtime

from .servers.profiles import PROFILES
from .servers.server import READ, WRITTEN, Servers

TOOLS = '''
from backstay.tools import tool

@tool(effect="read")
async def lookup(key: int) -> str:
    """Looks a value up."""
    return f"value {key}"
'''
TOML = """
[model]
name = "{model}"
api = "{api}"
base_url = "{url}"
dialect = "{dialect}"
give_up_after = "20s"
price = {{ input = "1.00", output = "10.00" }}
[budget]
steps = 4
conclude_at = 50
"""
PATIENCE = 60.0


@dataclasses.dataclass(frozen=True)
class Row:
    """One run: a server, an API, and whether agent.toml names the server."""

    server: str
    api: str
    named: bool

    def __str__(self) -> str:
        return f"{self.place.replace('/', '-')}"

    @property
    def place(self) -> str:
        """The place of its requests on the server."""
        return f"{'named' if self.named else 'auto'}/{self.server}/{self.api}"


ROWS = [
    Row(profile.name, api, named)
    for profile in PROFILES.values()
    for api in ("chat", *(["responses"] if profile.responses else []))
    for named in (True, False)
]


@asynccontextmanager
async def serving(client: Client, agent_folder: Callable[..., Path]) -> AsyncIterator[tuple[Servers, LocalRuntime]]:
    """Runs all servers, and one worker with an agent for each row."""
    async with Servers() as servers:
        agents = Path()
        for row in ROWS:
            kind, _, _ = row.place.partition("/")
            toml = TOML.format(
                model=PROFILES[row.server].model,
                api=row.api,
                url=f"{servers.address}/{kind}/{row.server}/v1",
                dialect=row.server if row.named else "auto",
            )
            agents = agent_folder(str(row), toml, TOOLS)
        async with local_runtime([], agents=agents, client=client) as runtime:
            yield servers, runtime


async def test_a_run_of_three_steps_completes_on_every_server(
    client: Client, agent_folder: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(client, agent_folder) as (servers, runtime):
        wrong: dict[str, object] = {}

        async def play(row: Row) -> None:
            try:
                result = await asyncio.wait_for(
                    runtime.run_to_end({"goal": "read 1, 2 and 3", "agent": str(row)}), PATIENCE
                )
            except Exception as error:
                wrong[row.place] = (repr(error), servers.refused.get(row.place))
                return
            told = (result.status, result.answer, result.steps, result.spent.output_tokens, result.spent.usd_unbilled)
            if told != ("completed", "read 1, 2, 3", 3, 3 * WRITTEN, "0.00") or result.spent.input_tokens != 3 * READ:
                wrong[row.place] = (told, result.stop_reason, servers.refused.get(row.place))

        await asyncio.gather(*(play(row) for row in ROWS))
        assert not wrong, "\n".join(f"{place}: {told}" for place, told in wrong.items())
        # A refusal is unbilled, is answered by one more request, and stands in the log.
        assert all(len(servers.bodies[row.place]) == 3 for row in ROWS)
        surprised = sorted(place for place in servers.refused if place.startswith("named/"))
        assert surprised == REFUSED_ALL_THE_SAME
        assert all(len(refusals) <= 2 for refusals in servers.refused.values())
        logged = [record.getMessage() for record in caplog.records if record.name == "backstay.model"]
        assert len(logged) >= len(servers.refused)


REFUSED_ALL_THE_SAME = ["named/azure/responses", "named/deepseek/chat", "named/groq/chat"]
"""Settings that the name of the server does not tell: a deployment, reasoning that is sometimes absent or unwanted."""
