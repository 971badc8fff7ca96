"""Running a prepared call: how it ends, what the model reads of it, what it costs."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError

from activities.execute import ERROR_CHARACTERS, denied, executed
from activities.prepare import PreparedCall
from backstay.contracts.call import RESULT_BYTES, ToolResult
from backstay.errors import (
    CallLostError,
    OutcomeUnknownError,
    SchemaDriftError,
    ToolError,
    UnreachedError,
)
from backstay.kernel.verdict import Code, Outcome, Verdict
from backstay.tools import ToolCall

from .fakes import BY_THE_RUN, BY_THE_WORKER, for_ever
from .world import World

EFFECTS = ["read", "write", "once"]
ALLOWED = Verdict(Outcome.ALLOW, Code.PERMITTED, "sha256:call", "sha256:rules")


async def ready(world: World, **changes: Any) -> PreparedCall:
    """A call of the world's tool, with changes to what the tool is."""
    world.admit(**changes)
    return await world.prepared(await world.handed())


async def run(world: World, **changes: Any) -> ToolResult:
    return await world.env.run(executed, ALLOWED, await ready(world, **changes), world.secrets)


async def ended_by(world: World, details: ActivityCancellationDetails, **changes: Any) -> ToolResult:
    """The result of a call that is cancelled while it runs."""
    world.tool.body = for_ever
    call = asyncio.create_task(run(world, **changes))
    await world.tool.running.wait()
    world.env.cancel(details)
    return await call


def raising(error: BaseException) -> Callable[[ToolCall, Mapping[str, Any]], Any]:
    async def body(call: ToolCall, values: Mapping[str, Any]) -> str:
        raise error

    return body


def saying(text: str) -> Callable[[ToolCall, Mapping[str, Any]], Any]:
    async def body(call: ToolCall, values: Mapping[str, Any]) -> str:
        return text

    return body


class Unspeakable(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise SystemExit


async def test_a_call_that_ends_well_is_completed_with_what_the_tool_returned(world: World) -> None:
    assert await run(world) == ToolResult(status="completed", text="paid")
    [call] = world.tool.ran
    assert (call.run_id, call.step, call.call_id, call.tenant) == ("refund-A17", 1, "1-0", "acme")


@pytest.mark.parametrize(
    ("error", "text", "unclear"),
    [
        (ToolError("the shop is closed"), "failed: the shop is closed", False),
        (ZeroDivisionError("by zero"), "failed: ZeroDivisionError: by zero", False),
        (TimeoutError("the bank is slow"), "failed: TimeoutError: the bank is slow", True),
        (SystemExit(3), "failed: SystemExit: 3", True),
        (KeyboardInterrupt(), "failed: KeyboardInterrupt: ", True),
        (asyncio.CancelledError("my own"), "failed: CancelledError: my own", True),
        (Unspeakable(), "failed: Unspeakable: (the error cannot be written as text)", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
async def test_whatever_a_tool_raises_is_a_failed_call_and_not_a_crash(
    world: World, error: BaseException, text: str, unclear: bool
) -> None:
    world.tool.body = raising(error)
    assert await run(world) == ToolResult(status="failed", text=text, unclear=unclear)


@pytest.mark.parametrize(("effect", "status"), [("read", "failed"), ("write", "unknown"), ("once", "unknown")])
async def test_a_tool_that_cannot_tell_leaves_an_effect_unknown_and_a_read_failed(
    world: World, effect: str, status: str
) -> None:
    world.tool.body = raising(OutcomeUnknownError("no answer from the bank"))
    result = await run(world, effect=effect)
    assert (result.status, result.text) == (status, "the outcome is unknown: no answer from the bank")
    assert result.unclear is (status == "failed")


@pytest.mark.parametrize("effect", ["read", "write"])
async def test_a_call_whose_server_was_lost_is_left_to_the_engine_where_it_may_be_repeated(
    world: World, effect: str
) -> None:
    world.tool.body = raising(CallLostError("the server died in the call"))
    with pytest.raises(ApplicationError) as caught:
        await run(world, effect=effect)
    assert (caught.value.type, caught.value.message) == ("ToolLost", "the server died in the call")
    assert not caught.value.non_retryable


async def test_nobody_repeats_a_call_for_once_whose_server_was_lost(world: World) -> None:
    world.tool.body = raising(CallLostError("the server died in the call"))
    result = await run(world, effect="once")
    assert (result.status, result.text) == ("unknown", "the outcome is unknown: the server died in the call")


@pytest.mark.parametrize("effect", EFFECTS)
async def test_a_call_that_was_never_sent_is_no_result(world: World, effect: str) -> None:
    world.tool.body = raising(UnreachedError("nobody listens"))
    with pytest.raises(UnreachedError, match="mcp_unreachable: nobody listens"):
        await run(world, effect=effect)


@pytest.mark.parametrize("effect", EFFECTS)
async def test_a_tool_that_has_changed_is_refused_by_a_verdict(world: World, effect: str) -> None:
    world.tool.body = raising(SchemaDriftError("`pay` has changed"))
    result = await run(world, effect=effect)
    assert (result.status, result.text) == ("denied", "denied just before it was executed: `pay` has changed")
    assert result.verdict == Verdict(
        Outcome.DENY, Code.SCHEMA_DRIFT, "sha256:call", "sha256:rules", message="`pay` has changed"
    )


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("the bank is slow"),
        ConnectionResetError("by peer"),
        asyncio.CancelledError("my own"),
        ExceptionGroup("both", [ValueError("x"), TimeoutError("slow")]),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize(("effect", "status"), [("read", "failed"), ("write", "failed"), ("once", "unknown")])
async def test_an_error_that_says_nothing_of_an_effect_leaves_unknown_what_must_happen_once(
    world: World, error: BaseException, effect: str, status: str
) -> None:
    world.tool.body = raising(error)
    result = await run(world, effect=effect)
    start = "the outcome is unknown" if status == "unknown" else "failed"
    assert (result.status, result.text) == (status, f"{start}: {type(error).__name__}: {error}")


@pytest.mark.parametrize("error", [ToolError("the shop is closed"), ValueError("no such order")])
async def test_an_error_that_says_what_is_wrong_is_a_failure_of_a_call_that_must_happen_once_too(
    world: World, error: Exception
) -> None:
    world.tool.body = raising(error)
    assert (await run(world, effect="once")).status == "failed"


async def test_an_author_who_says_that_nothing_was_done_is_believed(world: World) -> None:
    async def body(call: ToolCall, values: Mapping[str, Any]) -> str:
        try:
            raise TimeoutError("slow")
        except TimeoutError as error:
            raise ToolError("never sent") from error

    world.tool.body = body
    assert (await run(world, effect="once")).status == "failed"


@pytest.mark.parametrize("effect", EFFECTS)
async def test_a_call_that_outlives_its_limit_is_a_timeout_that_the_engine_may_try_again(
    world: World, effect: str
) -> None:
    world.tool.body = for_ever
    with pytest.raises(ApplicationError) as caught:
        await run(world, effect=effect, timeout=0.01)
    assert (caught.value.type, caught.value.message) == ("ToolTimeout", "no end within 0.01 seconds")
    assert not caught.value.non_retryable


async def test_a_tool_that_answers_its_time_limit_with_an_error_of_its_own_has_failed(world: World) -> None:
    async def body(call: ToolCall, values: Mapping[str, Any]) -> str:
        try:
            return await for_ever(call, values)
        except asyncio.CancelledError:
            raise ValueError("cut short") from None

    world.tool.body = body
    failed = ToolResult(status="failed", text="failed: ValueError: cut short", unclear=True)
    assert await run(world, timeout=0.01) == failed


async def test_a_tool_that_returns_after_its_limit_is_taken_at_its_word(world: World) -> None:
    async def body(call: ToolCall, values: Mapping[str, Any]) -> str:
        try:
            return await for_ever(call, values)
        except asyncio.CancelledError:
            return "paid late"

    world.tool.body = body
    assert await run(world, timeout=0.01) == ToolResult(status="completed", text="paid late")


@pytest.mark.parametrize(("effect", "status"), [("read", "cancelled"), ("write", "unknown"), ("once", "unknown")])
async def test_a_call_that_the_run_cancels_is_unknown_unless_it_only_reads(
    world: World, effect: str, status: str
) -> None:
    result = await ended_by(world, BY_THE_RUN, effect=effect)
    assert (result.status, result.text) == (status, f"{status}: the run was stopped during the call")


async def test_an_effect_that_must_not_be_repeated_is_unknown_where_the_worker_stops(world: World) -> None:
    result = await ended_by(world, BY_THE_WORKER, effect="once")
    assert (result.status, result.text) == ("unknown", "the outcome is unknown: the worker stopped during the call")


@pytest.mark.parametrize("effect", ["read", "write"])
async def test_a_repeatable_call_is_left_to_another_worker_without_the_words_of_the_tool(
    world: World, effect: str
) -> None:
    async def body(call: ToolCall, values: Mapping[str, Any]) -> str:
        try:
            return await for_ever(call, values)
        except asyncio.CancelledError:
            raise asyncio.CancelledError("the token is canary-4242") from ValueError("canary-4242")

    call = await ready(world, effect=effect)
    world.tool.body = body

    async def attempt() -> tuple[tuple[Any, ...], BaseException | None]:
        try:
            await executed(ALLOWED, call, world.secrets)
        except asyncio.CancelledError as error:
            return error.args, error.__cause__
        raise AssertionError("nothing was cancelled")

    running = asyncio.create_task(world.env.run(attempt))
    await world.tool.running.wait()
    world.env.cancel(BY_THE_WORKER)
    assert await running == ((), None)


@pytest.mark.parametrize(
    ("effect", "attempt", "cost", "reported", "usd"),
    [
        ("write", 1, 0, (), None),
        ("write", 1, 40, (), 40),
        ("write", 1, 40, ("0.00001",), 10),
        ("write", 1, 40, ("0.00001", "0.00003"), 30),
        ("write", 1, 0, ("0.00001",), 10),
        ("write", 3, 40, (), 40),  # paid for once under its key
        ("once", 3, 40, ("0.00001",), 10),
        ("read", 1, 40, (), 40),
        ("read", 3, 40, (), 120),
        ("read", 3, 40, ("0.00001",), 90),
        ("read", 3, 0, (), None),
    ],
)
async def test_a_call_costs_what_it_reports_and_a_read_what_its_lost_attempts_may_have_cost_too(
    world: World, effect: str, attempt: int, cost: int, reported: tuple[str, ...], usd: int | None
) -> None:
    async def body(call: ToolCall, values: Mapping[str, Any]) -> str:
        for amount in reported:
            call.report_cost(amount)
        return "paid"

    world.tool.body = body
    world.attempt(attempt)
    assert (await run(world, effect=effect, cost=cost)).usd == usd


async def test_a_failed_call_costs_what_it_reported(world: World) -> None:
    async def body(call: ToolCall, values: Mapping[str, Any]) -> str:
        call.report_cost("0.00001")
        raise ToolError("the card was refused")

    world.tool.body = body
    assert (await run(world, cost=40)).usd == 10


@pytest.mark.parametrize("error", [None, ToolError("the card was refused")])
async def test_an_alarm_stands_beside_the_result_and_changes_nothing_of_it(
    world: World, error: Exception | None
) -> None:
    without = await run(world)

    async def body(call: ToolCall, values: Mapping[str, Any]) -> str:
        call.raise_alarm("the till does not add up")
        if error is not None:
            raise error
        return without.text

    world.tool.body = body
    result = await run(world)
    assert result.alarm == "the till does not add up"
    assert without.alarm is None
    assert result.status == ("failed" if error else "completed")
    if error is None:
        assert result.model_copy(update={"alarm": None}) == without


@pytest.mark.parametrize("error", [None, ToolError, OutcomeUnknownError, ValueError])
async def test_no_secret_is_left_in_what_the_model_reads(world: World, error: type[Exception] | None) -> None:
    text = "the token is canary-4242"
    world.tool.body = raising(error(text)) if error else saying(text)
    result = await run(world)
    assert "canary" not in result.text
    assert result.text.endswith("the token is [secret SHOP_TOKEN]")


async def test_a_secret_that_the_limit_would_cut_in_two_is_found_before_the_cut(world: World) -> None:
    world.tool.body = saying("x" * (RESULT_BYTES - 6) + "canary-4242")
    result = await run(world)
    assert result.cut
    assert "canary" not in result.text
    assert result.text.startswith("x" * (RESULT_BYTES - 6) + "[secre\n[cut here")


async def test_a_long_result_and_a_long_complaint_are_cut_each_at_its_limit(world: World) -> None:
    world.tool.body = saying("x" * (RESULT_BYTES + 1))
    result = await run(world)
    assert (result.cut, result.text.count("x")) == (True, RESULT_BYTES)
    world.tool.body = raising(ToolError("x" * (ERROR_CHARACTERS + 1)))
    result = await run(world)
    assert (result.cut, len(result.text.split("\n")[0])) == (True, ERROR_CHARACTERS)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("refunds are closed", "denied just before it was executed: refunds are closed"),
        ("", "denied just before it was executed: forbidden"),
    ],
)
def test_a_denial_says_why_in_the_words_of_the_rule_or_as_a_code(message: str, text: str) -> None:
    verdict = Verdict(Outcome.DENY, Code.FORBIDDEN, "d", "v", message=message)
    assert denied(verdict, None, 1) == ToolResult(status="denied", text=text, verdict=verdict)
