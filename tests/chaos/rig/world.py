"""The world in which the fleet lives: a server, workers, a model and a shop behind ways that can be harmed."""

import asyncio
import contextlib
import random
import re
import time
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError

from backstay.client.connection import connect
from backstay.errors import BackstayError, OrderRefusedError
from backstay.testing import Call, Reply, Request, ScriptedModel
from backstay.testing.model.wire import assistant_turns

from ..refund_shop import Server, restartable
from ..worker_process import SOAK, worker_environment
from .agents import write_agents, write_organisation
from .crew import Crew
from .endpoint import Endpoint
from .plans import Plan
from .shop import serving

T = TypeVar("T")
PATIENCE = 600.0 if SOAK else 120.0
AGAIN = 0.3
_NAMED = re.compile(r"<([a-z]+-\d+)>")


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything there is.

    Attributes:
        seconds: for how long harm is done.
        fleet: how many runs are kept open meanwhile, at most.
        runs: how many runs are started, at most.
        workers: how many worker processes.
        pace: the seconds between one harm and the next, at most.
        outage: the seconds for which something is away, at most.
    """

    seconds: float
    fleet: int
    runs: int
    workers: int
    pace: float
    outage: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the fleet; `refunds` of a day and `run` of one run in USD, `usd` what models may cost in a day."""

    refunds: int
    run: int
    acme_usd: str
    organisation_usd: str
    at_once: int


@dataclass(frozen=True, slots=True)
class Closed:
    """A span in which no effect of some kinds may begin; `until` is None while it lasts."""

    why: str
    scope: str
    since: float
    until: float | None = None


@dataclass(slots=True)
class Mind:
    """What the model says: what is planned for a run, at the place where its conversation is.

    Attributes:
        plans: the plans of the runs that were started, by their id.
        wanted: the calls that it asked for, by the run and the number of the step.
    """

    plans: dict[str, Plan] = field(default_factory=dict[str, Plan])
    wanted: dict[tuple[str, str], list[Call]] = field(default_factory=dict[tuple[str, str], list[Call]])

    def turn(self, request: Request) -> Reply:
        """Returns the reply to a request."""
        named = _NAMED.search(request.goal)
        assert named is not None, request.goal
        plan, place = self.plans[named[1]], assistant_turns(request.api, request.body)
        if not request.body.get("tools") or place >= len(plan.turns):
            return Reply("done", delay=plan.delay)
        step = request.headers["Idempotency-Key"].rpartition("-")[2]
        calls = self.wanted.setdefault((plan.run, step), plan.turns[place])
        return Reply(calls=calls, delay=plan.delay)


@dataclass(slots=True)
class World:
    """Everything that runs work with.

    Attributes:
        harm: how often each harm was done.
        closed: the spans in which effects had to wait.
        calm: set once no more harm is done.
    """

    seed: str
    size: Size
    limits: Limits
    folder: Path
    client: Client
    queue: str
    server: Server
    crew: Crew
    model: ScriptedModel
    to_model: Endpoint
    to_shop: Endpoint
    mind: Mind
    harm: Counter[str] = field(default_factory=Counter[str])
    closed: list[Closed] = field(default_factory=list[Closed])
    calm: asyncio.Event = field(default_factory=asyncio.Event)
    serving: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def started(self) -> dict[str, Plan]:
        """The plans of the runs that were started, by their id."""
        return self.mind.plans

    @property
    def books(self) -> Path:
        """The books of the shop."""
        return self.folder / "shop.sqlite3"

    def dice(self, *names: object) -> random.Random:
        """Returns dice of their own for somebody, which fall the same in every run of the seed."""
        return random.Random(" ".join(map(str, (self.seed, *names))))

    @property
    def stopped(self) -> bool:
        """Tells whether starts are refused, or wait."""
        return any(one.until is None and not one.scope.startswith("tool:") for one in self.closed)

    def handle(self, run: str) -> Any:
        """Returns the handle of a run."""
        return self.client.get_workflow_handle(run)

    async def restart_server(self, outage: float) -> None:
        """Kills the server, and starts it again after a while."""
        async with self.serving:
            self.server.kill()
            await self.server.restart(outage)


async def insist(do: Callable[[], Awaitable[T]], seconds: float = 90.0) -> T | None:
    """Does something as soon as the server lets it; returns None where it is refused for good, or time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                try:
                    return await do()
                except (OrderRefusedError, WorkflowUpdateFailedError):
                    return None
                except (BackstayError, RPCError, WorkflowUpdateRPCTimeoutOrCancelledError):
                    await asyncio.sleep(AGAIN)
    return None


@contextlib.asynccontextmanager
async def world(folder: Path, seed: str, size: Size, limits: Limits) -> AsyncGenerator[World]:
    """Builds a world in a folder; when the context ends, nothing of it is left but the files."""
    agents = write_agents(folder / "agents", expires="12s", run=limits.run, day=limits.refunds)
    organisation = write_organisation(
        folder / "org", organisation=limits.organisation_usd, acme=limits.acme_usd, at_once=limits.at_once
    )
    queue = f"rig-{uuid.uuid4()}"
    mind = Mind()
    async with contextlib.AsyncExitStack() as stack:
        shop = await stack.enter_async_context(serving(folder / "shop.sqlite3"))
        to_shop = await stack.enter_async_context(Endpoint.to(shop))
        model = await stack.enter_async_context(ScriptedModel(default=mind.turn))
        to_model = await stack.enter_async_context(Endpoint.to(int(model.base_url.split(":")[2].split("/")[0])))
        server = await stack.enter_async_context(restartable(folder / "temporal.db"))
        environment = {
            **worker_environment(agents, queue, model, server.address),
            "OPENAI_BASE_URL": f"http://127.0.0.1:{to_model.port}/v1",
            "BACKSTAY_POLICIES": str(organisation),
            "SHOP": f"http://127.0.0.1:{to_shop.port}",
        }
        client = await connect(target_host=server.address, namespace="default")
        crew = await stack.enter_async_context(Crew.at_work(environment, folder, size.workers))
        yield World(seed, size, limits, folder, client, queue, server, crew, model, to_model, to_shop, mind)


def now() -> float:
    """Returns the seconds since the epoch, on the clock that the shop and the server have too."""
    return time.time()
