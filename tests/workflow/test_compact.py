"""The conversation of a long run: in short for the model before it outgrows the window, whole for everybody else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from backstay.testing import Call, Reply

if TYPE_CHECKING:
    from tests.workflow.conftest import Opener, Workshop

APIS = pytest.mark.parametrize("api", ["responses", "chat"])
TURNS = 60
WINDOW = 16_000
LONG = """
[budget]
steps = 200
tool_calls = 500
tokens = 100_000_000
usd = "100"
seconds = 600
conclude_at = 100
wrap_up = false
[model]
max_output_tokens = 500
"""
NARROW = f"{LONG}context_window = {WINDOW}\n"


def turns(count: int = TURNS) -> list[Reply]:
    """So many turns with results of two kilobytes, and an answer."""
    looked = [Reply(calls=[Call("huge", {"size": 2_000 + n})]) for n in range(count)]
    return [*looked, Reply("done")]


def sent(shop: Workshop, request: int = -1) -> str:
    """A request to the model as text."""
    return json.dumps(shop.model.requests[request].body)


async def compacted(shop: Workshop, handle: Any) -> list[dict[str, Any]]:
    """The facts of all compactions of a run."""
    return await shop.audit(handle, "compacted")


@APIS
async def test_sixty_turns_of_two_kilobytes_fit_a_window_of_16000_tokens(workshop: Opener, api: str) -> None:
    async with workshop(turns(), NARROW, model_api=api, window=WINDOW) as shop:
        handle = await shop.start(goal="work on order A17-PINNED")
        result = await shop.result(handle)
        facts = await compacted(shop, handle)
        short = await shop.transcript(handle, "compacted")
        results = await shop.transcript(handle, "result")
        shop.answers()
        last = sent(shop)
    assert result.answer == "done"
    assert len(facts) == len(short) > 1
    assert {one["how"] for one in facts} == {"summarised"}
    assert all(one["context_tokens"] < one["tokens_before"] for one in facts)
    assert result.spent.steps == TURNS + 1
    assert result.spent.model_calls == TURNS + 1 + len(facts)
    assert len(results) == TURNS
    assert "A17-PINNED" in last
    assert "a summary of the turns so far" in last


@APIS
async def test_without_a_known_window_only_what_the_server_refuses_is_truncated(workshop: Opener, api: str) -> None:
    async with workshop(turns(), LONG, model_api=api, window=WINDOW) as shop:
        handle = await shop.start()
        result = await shop.result(handle)
        facts = await compacted(shop, handle)
    assert result.answer == "done"
    assert {one["how"] for one in facts} == {"truncated"}
    # What is refused takes a step and its turn of the script, and no money.
    assert (result.spent.steps, result.spent.model_calls) == (TURNS + 1, TURNS + 1 - len(facts))
