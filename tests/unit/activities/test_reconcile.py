"""`reconcile`: asks the tool whether a call happened."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError

from activities.execute import ERROR_CHARACTERS
from activities.reconcile import Reconcile
from backstay.contracts.call import RESULT_BYTES, ActInput, Reconciled
from backstay.errors import HistoryError

from .fakes import BY_THE_RUN, BY_THE_WORKER, FORBIDDEN
from .world import World


def answering(answer: Reconciled) -> Callable[[], Awaitable[Reconciled]]:
    async def answered() -> Reconciled:
        return answer

    return answered


def raising(error: BaseException) -> Callable[[], Awaitable[Reconciled]]:
    async def raised() -> Reconciled:
        raise error

    return raised


async def silent() -> Reconciled:
    """Never answers."""
    await asyncio.Event().wait()
    return Reconciled(answer="unknown")


async def reconciled(world: World, given: ActInput | None = None) -> Reconciled:
    return await world.env.run(Reconcile(world.preparer).reconcile, given or await world.handed())


async def failed(world: World) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await reconciled(world)
    return caught.value


@pytest.mark.parametrize(
    "answer",
    [Reconciled(answer="happened", text="paid"), Reconciled(answer="not_happened"), Reconciled(answer="unknown")],
)
async def test_the_tool_is_asked_about_its_key_and_its_answer_stands(world: World, answer: Reconciled) -> None:
    world.tool.answer = answering(answer)
    assert await reconciled(world) == answer
    assert [call.idempotency_key for call in world.tool.asked] == ["key/1-0/content"]
    assert world.tool.ran == []


async def test_an_alarm_of_a_tool_that_is_asked_stands_beside_its_answer(world: World) -> None:
    async def alarmed() -> Reconciled:
        world.tool.asked[-1].raise_alarm("it was paid twice")
        return Reconciled(answer="happened", text="paid")

    world.tool.answer = alarmed
    assert await reconciled(world) == Reconciled(answer="happened", text="paid", alarm="it was paid twice")


async def test_a_tool_is_asked_even_where_policy_would_not_let_the_call_through_now(world: World) -> None:
    world.tool.answer = answering(Reconciled(answer="happened", text="paid"))
    given = await world.handed()
    world.gate.answer = FORBIDDEN
    assert (await reconciled(world, given)).answer == "happened"


async def test_a_call_that_no_longer_fits_its_tool_is_unknown(world: World) -> None:
    given = await world.handed(any_tool=True)
    world.catalog.tools.clear()
    assert await reconciled(world, given) == Reconciled(answer="unknown")
    assert world.tool.asked == []


async def test_a_history_that_cannot_be_read_is_an_error_that_is_tried_again(world: World) -> None:
    given = await world.handed()
    world.history.fault = HistoryError("not there yet")
    with pytest.raises(ApplicationError, match="not there yet") as caught:
        await reconciled(world, given)
    assert (caught.value.type, caught.value.non_retryable) == ("HistoryError", False)


async def test_a_tool_that_does_not_answer_in_time_is_asked_again(world: World) -> None:
    world.admit(timeout=0.01)
    world.tool.answer = silent
    error = await failed(world)
    assert (error.type, error.message, error.non_retryable) == ("ToolTimeout", "no answer in time", False)


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit("no"), asyncio.CancelledError("no")])
async def test_a_tool_that_raises_instead_of_answering_is_asked_again(world: World, error: BaseException) -> None:
    world.tool.answer = raising(error)
    failure = await failed(world)
    kind = type(error).__name__
    assert (failure.type, failure.message, failure.non_retryable) == (kind, f"{kind}: no", False)


async def test_no_secret_is_left_in_a_failure_or_behind_it(world: World) -> None:
    world.tool.answer = raising(ValueError("token canary-4242 " + "x" * ERROR_CHARACTERS))
    failure = await failed(world)
    assert failure.message.startswith("ValueError: token [secret SHOP_TOKEN] xx")
    assert len(failure.message) == ERROR_CHARACTERS
    assert failure.__cause__ is None


async def test_an_answer_is_scrubbed_and_cut_like_any_result(world: World) -> None:
    world.tool.answer = answering(Reconciled(answer="happened", text="canary-4242" + "x" * RESULT_BYTES))
    answer = await reconciled(world)
    assert answer.text.startswith("[secret SHOP_TOKEN]xx")
    assert "the first 32000 are shown" in answer.text


@pytest.mark.parametrize("details", [BY_THE_RUN, BY_THE_WORKER])
async def test_a_question_that_is_cancelled_ends_without_words_of_the_tool(
    world: World, details: ActivityCancellationDetails
) -> None:
    async def stubborn() -> Reconciled:
        try:
            return await silent()
        except asyncio.CancelledError:
            raise asyncio.CancelledError("canary-4242") from None

    world.tool.answer = stubborn
    given = await world.handed()

    async def attempt() -> tuple[object, ...]:
        try:
            await Reconcile(world.preparer).reconcile(given)
        except asyncio.CancelledError as error:
            return error.args
        raise AssertionError("nothing was cancelled")

    asking = asyncio.create_task(world.env.run(attempt))
    await world.tool.running.wait()
    world.env.cancel(details)
    assert await asking == ()


async def test_a_worker_that_does_not_serve_the_tool_leaves_the_question_to_another(world: World) -> None:
    given = await world.handed()
    world.catalog.tools.clear()
    with pytest.raises(ApplicationError) as refused:
        await reconciled(world, given)
    assert (refused.value.type, refused.value.non_retryable, world.tool.asked) == ("UnservedTool", True, [])
