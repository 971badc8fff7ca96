"""Calls as a model may propose them: with repeated ids, long arguments, names of no tool, or by the hundred."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import pytest

from backstay.kernel import keys
from backstay.testing import Call, Reply, Usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.workflow.conftest import Opener

APIS = pytest.mark.parametrize("api", ["responses", "chat"])
DONE = Reply("done")
ROOMY = '[model]\nmax_output_tokens = 100_000\n[budget]\ntokens = 10_000_000\nusd = "50"\n'
MANY = 500 if os.environ.get("BACKSTAY_SOAK") else 100


@APIS
async def test_two_calls_with_one_id_are_two_calls(workshop: Opener, api: str) -> None:
    calls = [Call("note", {"text": text}, id="same") for text in "ab"]
    async with workshop([Reply(calls=calls), Reply(calls=calls), DONE], model_api=api) as shop:
        result = await shop.run()
        assert result.spent.tools == {"note": 4}
        assert [id for id, _ in shop.answers()] == ["same", *(keys.wire_id(call) for call in ("1-1", "2-0", "2-1"))]
        assert sorted(shop.lines()) == ["a", "a", "b", "b"]


@APIS
async def test_arguments_of_two_hundred_kilobytes_arrive_whole(workshop: Opener, api: str) -> None:
    text = "z" * 200_000
    async with workshop([Reply(calls=[Call("note", {"text": text})]), DONE], ROOMY, model_api=api) as shop:
        assert (await shop.run()).status == "completed"
        assert shop.lines() == [text]
        assert text.encode() in shop.model.requests[-1].raw


@APIS
async def test_arguments_that_are_too_long_are_refused_and_the_run_goes_on(workshop: Opener, api: str) -> None:
    call = Call("note", {"text": "z" * 290_000})
    async with workshop([Reply(calls=[call]), DONE], ROOMY, model_api=api) as shop:
        assert (await shop.run()).status == "completed"
        assert shop.lines() == []
        [(_, text)] = shop.answers()
        assert "the arguments are longer than" in text


@APIS
async def test_long_words_that_were_refused_go_back_in_part_and_are_counted(
    workshop: Opener, agent_folder: Callable[..., Path], api: str
) -> None:
    rules = agent_folder("workshop") / "workshop" / "policy.cedar"
    rules.write_text('@id("no-notes") forbid(principal, action == Action::"note", resource);\n')
    text = "z" * 100_000
    spelled = f'<tool_call>{{"name": "echo", "arguments": {{"text": "{text}"}}}}'
    cut = Reply(text, calls=[Call("echo", {"text": text})], finish="length")
    script = [
        Reply(calls=[Call("note", {"text": text})]),
        Reply(spelled, usage=Usage(1_000, 150)),
        Reply(text, finish="length"),
        cut,
        DONE,
    ]
    async with workshop(script, ROOMY + "[stop]\nmalformed = 9\n", model_api=api) as shop:
        handle = await shop.start()
        assert (await shop.result(handle)).status == "completed"
        sizes = [len(request.raw) for request in shop.model.requests]
        assert max(after - before for before, after in itertools.pairwise(sizes)) < 12_000
        held = [hold["input_tokens"] for hold in await shop.audit(handle, "decision_held")]
        assert held[2] > 1_150 + 8_000


@APIS
async def test_a_name_that_no_tool_has_is_refused_and_the_run_goes_on(workshop: Opener, api: str) -> None:
    names = ["", "no such tool", "../note", "näme", "n" * 1_000, "note\n", "\ud800"]
    script = [Reply(calls=[Call(name) for name in names]), DONE]
    async with workshop(script, "[stop]\ndenials = 100\n", model_api=api) as shop:
        assert (await shop.run()).status == "completed"
        told = [text for _, text in shop.answers()]
        assert len(told) == len(names)
        assert all("there is no such tool" in text for text in told)


async def test_many_calls_of_one_decision_are_answered_in_the_order_asked(workshop: Opener) -> None:
    calls = [Call("echo", {"text": str(n)}) for n in range(MANY)]
    async with workshop([Reply(calls=calls), DONE], ROOMY + "tool_calls = 500\n") as shop:
        handle = await shop.start()
        assert (await shop.result(handle)).status == "completed"
        assert [text for _, text in shop.answers()] == [str(n) for n in range(MANY)]
        assert "WORKFLOW_TASK_FAILED" not in await shop.event_names(handle)
