"""`backstay compare` as a process of its own: the loop shows all five failures, and the governed run none."""

import os
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tests.integration.command_place import Ended, Running

NOT_OURS = ("OPENAI_", "BACKSTAY_", "TEMPORAL_", "OTEL_", "SHOP_")
LIMIT_USD = Decimal("0.05")
LOCAL = "BACKSTAY_TEST_LOCAL_MODEL"


async def compared(folder: Path, *options: str, **environment: str) -> Ended:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
    running = await Running.of(
        folder, sys.executable, "-m", "backstay", "compare", *options, **{**clean, **environment}
    )
    return await running.end(within=1_000)


@pytest.mark.timeout(300)
async def test_the_loop_fails_in_all_five_scenarios_and_the_governed_run_in_none(tmp_path: Path) -> None:
    page = tmp_path / "compare.html"
    # An engine and keys of the caller's own play no part.
    elsewhere = {"TEMPORAL_ADDRESS": "127.0.0.1:9", "BACKSTAY_CODEC_KEYS": "k1:" + "A" * 43 + "="}
    ended = await compared(tmp_path, "-o", "json", "--seeds", "6", "--page", str(page), **elsewhere)
    assert ended.code == 0, ended.err
    found = {one["scenario"]: (one["loop"], one["governed"]) for one in ended.json()}

    loop, governed = found["endless loop"]
    assert (loop["ended"], loop["model_calls"]) == ("ended by the harness after 60 model calls", 60)
    assert (governed["ended"], governed["model_calls"]) == ("no_progress", 3)

    loop, governed = found["tool spam"]
    assert (loop["tool_calls"], loop["ended"]) == (120, "answered")
    assert (governed["tool_calls"], governed["ended"]) == (1, "budget_exhausted")

    loop, governed = found["uncontrolled spend"]
    assert Decimal(governed["usd"]) <= LIMIT_USD < Decimal(loop["usd"]) / 5
    assert (loop["ended"], governed["ended"]) == ("answered", "budget_exhausted")

    loop, governed = found["risky action"]
    assert (loop["risky_effects"], loop["ended"]) == (2, "answered")
    assert (governed["risky_effects"], governed["ended"]) == (0, "completed")

    loop, governed = found["unpredictable behaviour"]
    assert loop["duplicates"] > 0
    assert (governed["duplicates"], governed["risky_effects"]) == (0, 0)
    assert governed["distinct_outcomes"] < loop["distinct_outcomes"]

    assert "5. unpredictable behaviour" in ended.err
    assert "The loop failed in 5 of 5 scenarios, the governed run in 0." in ended.err
    assert page.read_text("utf-8").count("Its process was killed in the middle") == 2
