"""The Temporal server dies by SIGKILL in the middle of effects that must happen once: none is doubled, none is lost."""

import asyncio
import os
import random
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from .refund_shop import TOML, TOOLS, Shop, open_shop, refunds
from .worker_process import SOAK

# A completion is sent again for about ten seconds: after a short outage it arrives, after a long one it is lost.
LOSING = 11.0
OUTAGES = [0.5, 5, 9, 12, 15, 30, 60] if SOAK else [12]
REFUNDS = ("refund", "wire", "credit")
POINTS = ("before", "while", "all along", "committed", "returned")
RUNS = 40 if SOAK else 6
ORDERS = 12 if SOAK else 4
RESTARTS = 20 if SOAK else 2
LONGEST_OUTAGE = 20.0 if SOAK else 1.0
LONGEST_DECISION = 4.0 if SOAK else 1.0
SEED = os.environ.get("BACKSTAY_SEED") or (uuid.uuid4().hex[:8] if SOAK else "restarts")


async def assert_once_each(shop: Shop, orders: Iterable[str]) -> None:
    """Every order was refunded, and once; whatever nobody saw and no tool could tell was asked for."""
    booked = shop.books()
    assert sorted(order for _, order in booked) == sorted(orders)
    assert len({key for key, _ in booked}) == len(booked)
    assert set(shop.asked) == await shop.lost()
    assert shop.deaths == []


@pytest.mark.soak
@pytest.mark.timeout(400)
@pytest.mark.parametrize("outage", OUTAGES)
async def test_no_refund_is_doubled_or_lost_when_the_server_dies_while_calls_stand_at_the_worst_points(
    tmp_path: Path, agent_folder: Callable[..., Path], outage: float
) -> None:
    works = {f"{tool}-{point}": (tool, point) for tool in REFUNDS for point in POINTS}
    works["payout-approval"] = ("payout", "approval")
    scripts = {name: refunds(tool, [name], point) for name, (tool, point) in works.items()}
    async with open_shop(agent_folder(toml=TOML, tools=TOOLS), tmp_path / "temporal.db", scripts) as shop:
        await shop.arrived()
        shop.open("go")
        await asyncio.sleep(0.02)
        shop.server.kill()
        shop.open("gone")
        await shop.server.restart(outage)
        asyncio.get_running_loop().call_later(4, shop.open, "back")
        seen = await asyncio.gather(shop.seen_through(), asyncio.sleep(5))
        assert seen[0] == ["completed"] * len(works)
        await assert_once_each(shop, works)
    assert outage < LOSING or len(set(shop.asked)) >= 3


@pytest.mark.soak
@pytest.mark.timeout(3600 if SOAK else 300)
async def test_no_refund_is_doubled_or_lost_when_the_server_dies_at_any_moment(
    tmp_path: Path, agent_folder: Callable[..., Path]
) -> None:
    dice = random.Random(SEED)
    orders = {f"{REFUNDS[n % 3]}-{n}": [f"{n}.{order}" for order in range(ORDERS)] for n in range(RUNS)}
    scripts = {
        name: refunds(name.split("-")[0], todo, "any", dice.uniform(0, LONGEST_DECISION))
        for name, todo in orders.items()
    }
    async with open_shop(agent_folder(toml=TOML, tools=TOOLS), tmp_path / "temporal.db", scripts) as shop:
        seeing = asyncio.create_task(shop.seen_through())
        await shop.begun()  # a worker that starts while there is no server ends with words, as it should
        for _ in range(RESTARTS):
            await asyncio.sleep(dice.uniform(1, 4))
            shop.server.kill()
            await shop.server.restart(dice.uniform(0, LONGEST_OUTAGE))
        assert await seeing == ["completed"] * RUNS, f"seed {SEED}"
        await assert_once_each(shop, (order for todo in orders.values() for order in todo))
        print(f"seed {SEED}: {RUNS} runs, {RESTARTS} restarts, {len(shop.asked)} outcomes asked for")
