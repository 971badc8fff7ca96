"""Errors of tools: whatever one raises, the call ends once, the run goes on, and no secret gets out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backstay.testing import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.workflow.conftest import Opener

APIS = pytest.mark.parametrize("api", ["responses", "chat"])
DONE = Reply("done")
SECRET = "canary-4242-secret"
TOOLS = '''

@tool(effect="read", secrets=["SHOP_TOKEN"])
async def cancel(call: ToolCall) -> str:
    """Raises a cancellation of its own."""
    raise asyncio.CancelledError("token was " + call.secret("SHOP_TOKEN"))

@tool(effect="read", secrets=["SHOP_TOKEN"])
async def cancel_from(call: ToolCall) -> str:
    """Raises a cancellation with a cause."""
    try:
        raise RuntimeError(call.secret("SHOP_TOKEN"))
    except RuntimeError as error:
        raise asyncio.CancelledError from error

class Unspeakable(Exception):
    def __str__(self):
        raise SystemExit(self.args[0])

@tool(effect="read", secrets=["SHOP_TOKEN"])
async def unspeakable(call: ToolCall) -> str:
    """Raises an error that cannot say what it is."""
    raise Unspeakable(call.secret("SHOP_TOKEN"))

def quit(text: str) -> bool:
    raise SystemExit(text)

@tool(effect="write", facts={"fine": ("Bool", quit)})
def judged(call: ToolCall, text: str) -> str:
    """Has a fact that wants to end the process."""
    log(call, text)
    return text
'''

ERRORS: dict[str, tuple[Call, str]] = {
    "refuses": (Call("refuse"), "failed: the shop is closed"),
    "raises": (Call("crash", {"text": "by zero"}), "failed: ZeroDivisionError: by zero"),
    "exits": (Call("leave"), "failed: SystemExit: 3"),
    "exits its thread": (Call("leave_thread"), "failed: SystemExit: 3"),
    "interrupts": (Call("interrupt"), "failed: KeyboardInterrupt: "),
    "ends an iteration": (Call("generate"), "failed: StopAsyncIteration: "),
}


@APIS
async def test_every_error_is_one_failed_call_that_the_model_reads(workshop: Opener, api: str) -> None:
    calls = [call for call, _ in ERRORS.values()]
    async with workshop([Reply(calls=calls), DONE], "[stop]\nfailures = 100\n", model_api=api) as shop:
        handle = await shop.start()
        result = await shop.result(handle)
        assert (result.status, result.spent.tool_calls) == ("completed", len(calls))
        told = [text for _, text in shop.answers()]
        assert dict(zip(ERRORS, told, strict=True)) == {name: text for name, (_, text) in ERRORS.items()}
        statuses = [item["status"] for item in await shop.transcript(handle, "result")]
        assert statuses == ["failed"] * len(calls)


async def test_a_huge_complaint_is_cut(workshop: Opener) -> None:
    async with workshop([Reply(calls=[Call("crash", {"text": "y" * 20_000})]), DONE]) as shop:
        assert (await shop.run()).status == "completed"
        [(_, text)] = shop.answers()
        assert len(text) < 2_200
        assert "cut here" in text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cancel", "failed: CancelledError: token was [secret SHOP_TOKEN]"),
        ("cancel_from", "failed: CancelledError: "),
        ("unspeakable", "failed: Unspeakable: (the error cannot be written as text)"),
    ],
)
async def test_an_error_that_the_engine_could_take_for_its_own_fails_the_call_and_keeps_the_secret(
    workshop: Opener, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", SECRET)
    async with workshop([Reply(calls=[Call(name)]), DONE], tools=TOOLS) as shop:
        handle = await shop.start()
        assert (await shop.result(handle)).status == "completed"
        assert [told for _, told in shop.answers()] == [text]
        events = await shop.events(handle)
        assert not any(SECRET.encode() in event.SerializeToString() for event in events)
        assert "ACTIVITY_TASK_FAILED" not in await shop.event_names(handle)


async def test_a_fact_that_wants_to_end_the_process_is_a_refusal(
    workshop: Opener, agent_folder: Callable[..., Path]
) -> None:
    rule = '@id("fine") forbid(principal, action == Action::"judged", resource) unless { context.facts.fine };'
    (agent_folder("workshop") / "workshop" / "policy.cedar").write_text(rule)
    async with workshop([Reply(calls=[Call("judged", {"text": "a"})]), DONE], tools=TOOLS) as shop:
        assert (await shop.run()).status == "completed"
        [(_, text)] = shop.answers()
        assert "SystemExit" in text
        assert shop.lines() == []
