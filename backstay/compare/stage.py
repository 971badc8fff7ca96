"""Plays the comparison: each scenario on both sides at once, on an engine, a worker and books of its own."""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from backstay.adapters.engine.dev_server import dev_server
from backstay.adapters.model.dialect import host_of, known
from backstay.adapters.model.prices import price_of
from backstay.adapters.payload.converter import data_converter
from backstay.client import BackstayClient
from backstay.errors import ConfigurationError
from backstay.settings import Settings

from .books import Books
from .governed import Governed, governed_side
from .loops import Loops, loop_process
from .measure import Side, measured
from .meter import GOVERNED, LOOP, OPENAI, Meter, Upstream
from .scenarios import Scenario

AGENTS = Path(__file__).with_name("agents")
_NOT_PASSED_ON = ("BACKSTAY_", "OPENAI_", "OTEL_", "SHOP_", "TEMPORAL_")


@dataclass(frozen=True, slots=True)
class Compared:
    """Holds a scenario and what was measured of both sides."""

    scenario: Scenario
    loop: Side
    governed: Side

    @property
    def failures(self) -> tuple[str | None, str | None]:
        """Names the failure of the loop and that of the governed run; None for one that did not fail."""
        return self.scenario.failure(self.loop), self.scenario.failure(self.governed)

    def as_json(self) -> dict[str, object]:
        """Returns the comparison as the command writes it."""
        return {
            "scenario": self.scenario.name,
            "loop": self.loop.as_json(),
            "governed": self.governed.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Extent:
    """Says how far the comparison goes.

    Attributes:
        seeds: how many runs meet the erratic model.
        most_calls: how many model calls a loop gets before the harness ends it.
    """

    seeds: int = 20
    most_calls: int = 60


@dataclass(frozen=True, slots=True)
class Stage:
    """Holds both sides while their processes run."""

    meter: Meter
    loops: Loops
    governed: Governed
    seeds: int

    async def play(self, scenario: Scenario) -> Compared:
        """Plays a scenario on both sides at once, and measures them."""
        goals = scenario.runs(self.seeds)
        books = (self.loops.books, self.governed.books)
        if scenario.crash_after is not None:
            for one in books:
                one.plant_crash(scenario.slug, scenario.crash_after)
        played = await asyncio.gather(self.loops.play(goals), self.governed.play(goals))
        sides = [
            measured(ends, one.of(goals), self.meter.bill(side, goals.values()), crashes)
            for (ends, crashes), one, side in zip(played, books, (LOOP, GOVERNED), strict=True)
        ]
        return Compared(scenario, *sides)


@contextlib.asynccontextmanager
async def staged(settings: Settings, extent: Extent) -> AsyncGenerator[Stage]:
    """Runs both sides until the context ends.

    Args:
        settings: name the model.
        extent: how far the comparison goes.

    Raises:
        ConfigurationError: the model has no price, or the engine does not start.
    """
    upstream = upstream_of(settings)
    with tempfile.TemporaryDirectory(prefix="backstay-compare-") as folder:
        home = Path(folder)
        async with Meter(upstream, extent.most_calls) as meter, dev_server() as server:
            client = BackstayClient(await _plain_client(server.address))
            serving = {
                **_environment(settings, meter.base_url(GOVERNED)),
                "BACKSTAY_AGENTS": str(_agents(home, settings)),
                "BACKSTAY_TASK_QUEUE": client.task_queue,
                "SHOP_BOOKS": str(home / "governed.sqlite3"),
                "TEMPORAL_ADDRESS": server.address,
            }
            looping = _environment(settings, meter.base_url(LOOP))
            async with loop_process(looping) as process, governed_side(client, serving) as governed:
                books = Books(home / "loop.sqlite3")
                loops = Loops(process, books, settings.model, meter.cut_off, extent.most_calls)
                yield Stage(meter, loops, governed, extent.seeds)


def upstream_of(settings: Settings) -> Upstream:
    """Returns the server of the model, and its price.

    Raises:
        ConfigurationError: the model has no price.
    """
    price = price_of(settings.model, settings.openai_base_url, None, settings.model_price)
    if price is None:
        what = f"the model `{settings.model}` has no known price, and what is not priced cannot be compared"
        raise ConfigurationError(what, mend="set BACKSTAY_MODEL_PRICE, as `input=0.25,output=2.00`")
    return Upstream(settings.openai_base_url or OPENAI, price)


async def _plain_client(address: str) -> Client:
    """Connects without the caller's keys of payloads, which the worker of the comparison does not have either."""
    return await Client.connect(address, data_converter=data_converter(Settings(codec_keys=None, codec_keys_file=None)))


def _environment(settings: Settings, base_url: str) -> dict[str, str]:
    """Returns the environment of a side's process: nothing of the caller's own engine, rules or telemetry."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)}
    price = ",".join(f"{name}={value}" for name, value in (settings.model_price or {}).items())
    return {
        **inherited,
        "BACKSTAY_MODEL": settings.model,
        "BACKSTAY_MODEL_API": settings.model_api,
        "BACKSTAY_MODEL_PRICE": price,
        "OPENAI_API_KEY": settings.openai_api_key or "none",
        "OPENAI_BASE_URL": base_url,
    }


def _agents(home: Path, settings: Settings) -> Path:
    """Copies the agent, and names the dialect of the model's server, which the meter's address does not tell."""
    folder = Path(shutil.copytree(AGENTS, home / "agents"))
    with (folder / "clerk" / "agent.toml").open("a") as file:
        file.write(f'\n[model]\ndialect = "{known(host_of(settings.openai_base_url))}"\n')
    return folder
