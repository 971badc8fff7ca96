"""Tools that misbehave: the run goes on, and the model is told the one end of every call."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from backstay.testing import Call, Reply

if TYPE_CHECKING:
    from tests.workflow.conftest import Opener

APIS = pytest.mark.parametrize("api", ["responses", "chat"])
PATIENT = "[stop]\nfailures = 100\n"
DONE = Reply("done")
SHOWN = 32_000
SOAK = bool(os.environ.get("BACKSTAY_SOAK"))
MANY = 500 if SOAK else 100

UNRULY: dict[str, tuple[Call, str]] = {
    "refuses": (Call("refuse"), "failed: the shop is closed"),
    "raises": (Call("crash", {"text": "by zero"}), "failed: ZeroDivisionError: by zero"),
    "exits": (Call("leave"), "failed: SystemExit: 3"),
    "exits its thread": (Call("leave_thread"), "failed: SystemExit: 3"),
    "interrupts": (Call("interrupt"), "failed: KeyboardInterrupt: "),
    "ends an iteration": (Call("generate"), "failed: StopAsyncIteration: "),
    "is no JSON": (Call("odd"), "(the call was executed; its result, a object, cannot be written as JSON)"),
    "holds itself": (Call("circle"), "(the call was executed; its result, a list, cannot be written as JSON)"),
    "is half a character": (Call("broken_text"), "half ? a pair"),
    "prints": (Call("loud"), "quiet"),
    "behaves": (Call("echo", {"text": "good"}), "good"),
}


@APIS
async def test_every_unruly_call_has_one_end_that_the_model_reads(workshop: Opener, api: str) -> None:
    calls = [call for call, _ in UNRULY.values()]
    async with workshop([Reply(calls=calls), DONE], PATIENT, model_api=api) as shop:
        handle = await shop.start()
        result = await shop.result(handle)
        assert (result.status, result.spent.tool_calls) == ("completed", len(calls))
        told = [text for _, text in shop.answers()]
        assert dict(zip(UNRULY, told, strict=True)) == {name: text for name, (_, text) in UNRULY.items()}
        statuses = [item["status"] for item in await shop.transcript(handle, "result")]
        assert statuses == ["failed"] * 6 + ["completed"] * 5


async def test_half_a_character_in_a_structure_does_no_harm(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("broken_key")]), DONE]) as shop:
        assert (await shop.run()).status == "completed"
        assert len(shop.answers()) == 1


@APIS
async def test_a_huge_result_is_cut_and_says_so(workshop: Opener, api: str) -> None:
    async with workshop([Reply(calls=[Call("huge", {"size": 5_000_000})]), DONE], model_api=api) as shop:
        assert (await shop.run()).status == "completed"
        [(_, text)] = shop.answers()
        assert text == "x" * SHOWN + f"\n[cut here: 5000000 bytes in all, the first {SHOWN} are shown]"


async def test_a_huge_complaint_is_cut(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("crash", {"text": "y" * 20_000})]), DONE]) as shop:
        assert (await shop.run()).status == "completed"
        [(_, text)] = shop.answers()
        assert len(text) < 2_200
        assert "cut here" in text


async def test_a_read_that_takes_too_long_is_tried_again_and_then_failed(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("slow_read"), Call("echo", {"text": "good"})]), DONE]) as shop:
        assert (await shop.run()).status == "completed"
        assert shop.lines() == ["tried"] * 3
        assert [text for _, text in shop.answers()] == ["failed: the call timed out", "good"]


async def test_a_thread_that_never_returns_holds_up_nobody(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("stuck_read")]), DONE]) as shop:
        assert (await shop.run()).status == "completed"
        assert shop.lines() == ["tried"] * 3
        assert [text for _, text in shop.answers()] == ["failed: the call timed out"]


async def test_an_effect_that_takes_too_long_is_tried_once_and_unknown(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("slow_once"), Call("note", {"text": "sibling"})]), DONE]) as shop:
        handle = await shop.start()
        result = await shop.result(handle)
        assert (result.stop_reason, result.stop_detail) == ("outcome_unknown", "slow_once")
        assert sorted(shop.lines()) == ["sibling", "tried"]
        statuses = [item["status"] for item in await shop.transcript(handle, "result")]
        assert statuses == ["unknown", "completed"]


async def test_a_tool_that_outlives_its_limit_but_ends_is_taken_at_its_word(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("deaf_once", {"seconds": 1})]), DONE]) as shop:
        assert (await shop.run()).status == "completed"
        assert [text for _, text in shop.answers()] == ["finished all the same"]


async def test_a_tool_that_never_listens_is_given_up_by_the_engine(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("deaf_once", {"seconds": 25})]), DONE]) as shop:
        result = await shop.run()
        assert (result.stop_reason, result.stop_detail) == ("outcome_unknown", "deaf_once")


@APIS
async def test_two_calls_with_one_id_are_two_calls(workshop: Opener, api: str) -> None:
    calls = [Call("note", {"text": text}, id="same") for text in "ab"]
    async with workshop([Reply(calls=calls), Reply(calls=calls), DONE], model_api=api) as shop:
        result = await shop.run()
        assert result.spent.tools == {"note": 4}
        assert [call_id for call_id, _ in shop.answers()] == ["1-0", "1-1", "2-0", "2-1"]
        assert sorted(shop.lines()) == ["a", "a", "b", "b"]


ROOMY = '[model]\nmax_output_tokens = 100_000\n[budget]\ntokens = 10_000_000\nusd = "50"\n'


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
async def test_names_that_no_tool_can_have_are_refused_and_the_run_goes_on(workshop: Opener, api: str) -> None:
    names = ["", "no such tool", "../note", "näme", "n" * 1_000, "note\n", "\ud800"]
    script = [Reply(calls=[Call(name) for name in names]), DONE]
    async with workshop(script, "[stop]\ndenials = 100\n", model_api=api) as shop:
        assert (await shop.run()).status == "completed"
        assert len(shop.answers()) == len(names)


async def test_many_calls_of_one_decision_are_answered_in_the_order_asked(workshop: Opener) -> None:
    calls = [Call("echo", {"text": str(n)}) for n in range(MANY)]
    async with workshop([Reply(calls=calls), DONE], ROOMY + "tool_calls = 500\n") as shop:
        handle = await shop.start()
        assert (await shop.result(handle)).status == "completed"
        assert [text for _, text in shop.answers()] == [str(n) for n in range(MANY)]
        assert "WORKFLOW_TASK_FAILED" not in await shop.event_names(handle)
