"""A fleet of every kind of run lives through everything that can be done to it, and all books agree in the end."""

import asyncio
import contextlib
import os
import uuid
from collections import Counter
from pathlib import Path

import pytest

from ..worker_process import SOAK
from .checks import violations
from .evidence import Evidence, gathered, keep
from .fleet import Fleet
from .mischief import do_harm, mend
from .people import People
from .world import Limits, Size, World, now, world

SEEDS = [os.environ["BACKSTAY_SEED"]] if "BACKSTAY_SEED" in os.environ else ["rig"]
if SOAK and "BACKSTAY_SEED" not in os.environ:
    SEEDS = [uuid.uuid4().hex[:8] for _ in range(3)]
SECONDS = float(os.environ.get("BACKSTAY_RIG_SECONDS", "600" if SOAK else "10"))
SIZE = Size(SECONDS, 40, 10_000, 3, 4.0, 15.0) if SOAK else Size(SECONDS, 16, 24, 2, 0.8, 2.5)
LIMITS = Limits(refunds=4_000, run=300, acme_usd="20", organisation_usd="40", at_once=4)
FEW = Limits(refunds=300, run=200, acme_usd="1.5", organisation_usd="5", at_once=2)


async def lived_through(one: World) -> Evidence:
    """Lets the fleet live through it all, and gathers what is known at the end."""
    people = People(one)
    fleet = Fleet.of(one, people)
    answering = asyncio.create_task(people.answer())
    await fleet.begin()
    began = now()
    await asyncio.gather(fleet.keep_going(), do_harm(one, people))
    harmed = now()
    await mend(one)
    late = await fleet.until_over()
    over = now()
    answering.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await answering
    found = await gathered(one, people, late)
    print(f"\nseed {one.seed}: {harmed - began:.0f} s of harm, {over - harmed:.0f} s until all was over")
    print(told(one, found))
    return found


def told(one: World, found: Evidence) -> str:
    """Returns the counts by kind."""
    ends: dict[str, Counter[str]] = {}
    for seen in found.seen:
        reason = seen.result.stop_reason if seen.result else seen.ended or "open"
        if seen.result and seen.result.status == "failed":
            reason = f"{reason}: {seen.result.stop_detail}"
        ends.setdefault(seen.plan.kind, Counter())[reason] += 1
    lines = [f"  {kind:9} {dict(counts)}" for kind, counts in sorted(ends.items())]
    effects = Counter(effect.tool for effect in found.effects)
    over = [seen.links for seen in found.seen if seen.links > 1]
    first = f"{len(found.seen)} runs, {len(over)} of them over {sum(over)} links:"
    return "\n".join((first, *lines, f"harm: {dict(one.harm)}", f"effects: {dict(effects)}"))


@pytest.mark.soak
@pytest.mark.timeout(2_400 if SOAK else 300)
@pytest.mark.parametrize("seed", SEEDS)
async def test_all_books_agree_after_everything_that_was_done_to_the_fleet(tmp_path: Path, seed: str) -> None:
    async with world(tmp_path, seed, SIZE, LIMITS if SOAK else FEW) as one:
        found = await lived_through(one)
    keep(found, tmp_path / "evidence")
    assert any(seen.links > 1 for seen in found.seen)
    wrong = violations(found)
    assert not wrong, "\n".join((f"seed {seed}; see {tmp_path / 'evidence'}", *wrong))
