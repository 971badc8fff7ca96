"""`act`: one call, checked once more, executed once."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.act import Act
from backstay.contracts.call import ActInput, ToolResult
from backstay.contracts.conversation import Decided, Observed, Said
from backstay.contracts.decision import DecideInput, Decision, Observation, ProposedCall, short_digest
from backstay.contracts.history import Handed, RunRef
from backstay.errors import EffectUnreachedError, HistoryError
from backstay.kernel.control import Incident, InForce, Mode, Told
from backstay.kernel.scope import Scope
from backstay.kernel.verdict import Code

from .fakes import ASK_FINANCE, BY_THE_RUN, FORBIDDEN, RUN, Answer, for_ever, tool_spec
from .world import World, proposed

BEFORE = RunRef(RUN.workflow_id, "the run before the reset")
DONE = ToolResult(status="completed", text="paid before the reset")
LOST = ToolResult(status="unknown", text="nobody knows")


async def acted(world: World, given: ActInput) -> ToolResult:
    act = Act(world.preparer, world.effects, world.effect_ids, world.history, world.attempts)
    return await world.env.run(act.act, given)


async def failed(world: World, given: ActInput) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await acted(world, given)
    return caught.value


async def test_a_call_that_is_still_allowed_is_executed_with_the_arguments_the_model_wrote(world: World) -> None:
    given = await world.handed(proposed(arguments='{"amount": 7}'))
    assert await acted(world, given) == ToolResult(status="completed", text="paid")
    [call] = world.tool.ran
    assert (call.step, call.call_id, call.agent, call.tenant) == (1, "1-0", "clerk", "acme")
    assert (call.idempotency_key, call.metadata) == ("key/1-0/content", {"ticket": "T1"})
    [asked] = world.gate.asked
    assert (asked.arguments, asked.now) == ({"amount": 7}, 1_001)


async def test_a_result_is_remembered_for_the_next_decision(world: World) -> None:
    first = DecideInput(step=1, run_key="key", max_output_tokens=1, attempts=1)
    pay = Decision(calls=[proposed()])
    world.conversations.decided(RUN, first, await world.conversations.conversation(RUN, first), pay)
    await acted(world, await world.handed())
    seen = Observation(call_id="1-0", digest=short_digest("paid"))
    second = first.model_copy(update={"step": 2, "previous": pay.digest(1), "observations": [seen]})
    told = await world.conversations.conversation(RUN, second)
    assert list(told.items) == [Said("Refund order A17."), Decided(pay), Observed("1-0", "paid")]
    assert world.history.reads == []


@pytest.mark.parametrize("answer", [FORBIDDEN, ASK_FINANCE])
async def test_a_call_that_policy_no_longer_allows_is_denied_just_before_its_effect(
    world: World, answer: Answer
) -> None:
    given = await world.handed()
    world.gate.answer = answer
    result = await acted(world, given)
    assert (result.status, result.text) == ("denied", f"denied just before it was executed: {answer.message}")
    assert result.verdict is not None
    assert (result.verdict.outcome, result.verdict.rules) == (answer.outcome, answer.rules)
    assert world.tool.ran == []


@pytest.mark.parametrize(("effect", "status"), [("read", "denied"), ("write", "unknown")])
async def test_a_refusal_does_not_undo_what_an_earlier_attempt_began(effect: Any, status: str) -> None:
    world = World(tool_spec(effect=effect))
    given = await world.handed()
    world.gate.answer = FORBIDDEN
    world.attempt(2)
    result = await acted(world, given)
    assert (result.status, result.verdict is None, world.tool.ran) == (status, status == "unknown", [])


async def test_a_call_that_is_not_the_authorised_one_is_denied(world: World) -> None:
    given = await world.handed(digest="sha256:of-another-call")
    result = await acted(world, given)
    assert (result.status, world.tool.ran) == ("denied", [])
    assert result.text.endswith("the call is not the one that was authorised")


def without_the_agent(world: World) -> None:
    world.catalog.gone = True


def without_the_tool(world: World) -> None:
    world.catalog.tools.clear()


def with_another_version(world: World) -> None:
    world.tool.spec = world.tool.spec.model_copy(update={"digest": "sha256:changed"})


UNSERVED = [
    (without_the_agent, "Unserved", "this worker does not serve the agent `clerk`"),
    (without_the_tool, "UnservedTool", "does not serve the tool `pay` of the agent `clerk` as the run was admitted"),
    (with_another_version, "UnservedTool", "the tool `pay`"),
]


@pytest.mark.parametrize(("change", "kind", "words"), UNSERVED)
async def test_a_worker_that_does_not_serve_the_call_does_nothing_and_says_so(
    world: World, change: Callable[[World], None], kind: str, words: str
) -> None:
    given = await world.handed()
    change(world)
    error = await failed(world, given)
    assert (error.type, error.non_retryable, words in error.message) == (kind, True, True)
    assert (world.tool.ran, world.gate.asked) == ([], [])


async def test_a_worker_that_does_not_serve_a_later_attempt_leaves_it_to_another(world: World) -> None:
    given = await world.handed()
    world.catalog.gone = True
    world.attempt(2)
    assert not (await failed(world, given)).non_retryable


@pytest.mark.parametrize(("attempt", "details"), [(1, ()), (4, (3,))])
async def test_a_stop_holds_each_attempt_for_the_run_to_wait_and_says_how_many_had_begun(
    world: World, attempt: int, details: tuple[int, ...]
) -> None:
    given = await world.handed()
    stop = Incident("i1", Scope.read("tool:pay"), Mode.STOP, Told("olga@example.com", "it pays twice", 0))
    world.control.state = InForce(incidents={"i1": stop})
    world.attempt(attempt)
    error = await failed(world, given)
    assert (error.type, error.non_retryable, error.details) == ("Held", True, details)
    assert error.category is ApplicationErrorCategory.BENIGN
    assert world.tool.ran == []


async def test_what_had_begun_before_a_stop_held_the_call_counts_in_the_first_attempt_after_it() -> None:
    world = World(tool_spec(effect="write"))
    given = await world.handed(begun=2)
    world.attempts.wants = False
    assert (await acted(world, given)).status == "unknown"
    world.attempts.wants = True
    world.gate.answer = FORBIDDEN
    assert ((await acted(world, given)).status, world.tool.ran) == ("unknown", [])


async def test_a_read_costs_what_was_lost_before_a_stop_held_it() -> None:
    world = World(tool_spec(effect="read", cost=40))
    assert (await acted(world, await world.handed(begun=2))).usd == 120


async def test_a_tool_that_no_worker_serves_as_admitted_is_denied_at_last(world: World) -> None:
    given = await world.handed(any_tool=True)
    world.catalog.tools.clear()
    result = await acted(world, given)
    assert result.verdict is not None
    assert (result.status, result.verdict.code) == ("denied", Code.UNKNOWN_TOOL)


async def test_arguments_that_a_person_edited_are_executed_in_place_of_the_models(world: World) -> None:
    await world.handed()
    edited = ProposedCall(call_id="1-0", tool="pay", arguments='{"amount": 1}')
    [verdict] = (await world.authorized(edited)).verdicts
    given = await world.handed(digest=verdict.digest, arguments=edited.arguments)
    assert (await acted(world, given)).status == "completed"
    assert world.gate.asked[-1].arguments == {"amount": 1}


@pytest.mark.parametrize("fault", [HistoryError("not there yet")])
async def test_a_history_that_cannot_be_read_is_an_error_that_is_tried_again(world: World, fault: HistoryError) -> None:
    given = await world.handed()
    world.history.fault = fault
    error = await failed(world, given)
    assert (error.type, error.message, error.non_retryable) == ("HistoryError", "not there yet", False)
    assert world.tool.ran == []


async def test_a_call_that_the_run_stops_is_a_result_too(world: World) -> None:
    world.tool.body = for_ever
    call = asyncio.create_task(acted(world, await world.handed()))
    await world.tool.running.wait()
    world.env.cancel(BY_THE_RUN)
    assert (await call).status == "unknown"


async def test_a_call_of_a_shared_effect_claims_it_and_executes_nothing_itself(world: World) -> None:
    world.admit(dedupe="tenant")
    assert await acted(world, await world.handed()) == world.effects.claiming.outcome
    assert len(world.effects.claims) == 1
    assert world.tool.ran == []


async def test_a_shared_effect_that_policy_forbids_is_not_even_claimed(world: World) -> None:
    world.admit(dedupe="tenant")
    given = await world.handed()
    world.gate.answer = FORBIDDEN
    assert (await acted(world, given)).status == "denied"
    assert world.effects.claims == []


async def test_an_effect_that_cannot_be_asked_is_an_error_that_is_tried_again(world: World) -> None:
    world.admit(dedupe="tenant")
    world.effects.claiming.outcome = EffectUnreachedError("no answer")
    error = await failed(world, await world.handed())
    assert (error.type, error.message, error.non_retryable) == ("EffectUnreached", "no answer", False)


async def reset_once(world: World, *ends: ToolResult | None, **changes: Any) -> ActInput:
    """A call of a tool that must not repeat its effect, in a run that was reset; `ends` are its ends before."""
    world.admit(effect="once", **changes)
    world.change_opening(reset=True)
    given = await world.handed()
    world.history.others = [RunRef(RUN.workflow_id, f"before-{number}") for number in range(len(ends))]
    for run, end in zip(world.history.others, ends, strict=True):
        world.history.calls[run, "1-0"] = Handed(given, end is not None, end)
    return given


async def test_a_call_that_was_never_handed_over_before_the_reset_is_executed(world: World) -> None:
    given = await reset_once(world)
    world.history.others = [BEFORE]
    assert (await acted(world, given)).text == "paid"


@pytest.mark.parametrize("ends", [[DONE], [None, DONE], [LOST, DONE]])
async def test_a_call_that_was_completed_before_the_reset_keeps_its_result(
    world: World, ends: list[ToolResult | None]
) -> None:
    assert await acted(world, await reset_once(world, *ends)) == DONE
    assert world.tool.ran == []


async def test_a_call_that_had_begun_before_the_reset_is_not_executed_again(world: World) -> None:
    error = await failed(world, await reset_once(world, LOST, None))
    assert (error.type, error.message) == ("BegunBeforeReset", "nobody saw its end before the run was reset")
    assert world.tool.ran == []


async def test_an_outcome_that_nobody_knew_before_the_reset_is_still_unknown(world: World) -> None:
    assert await acted(world, await reset_once(world, LOST)) == LOST
    assert world.tool.ran == []


@pytest.mark.parametrize("status", ["failed", "denied"])
async def test_a_call_that_failed_or_was_denied_before_the_reset_is_executed(world: World, status: Any) -> None:
    given = await reset_once(world, ToolResult(status=status, text="no"))
    assert (await acted(world, given)).text == "paid"


@pytest.mark.parametrize(
    ("changes", "executed"),
    [({}, False), ({"again": 1}, False), ({"content": "another call"}, True), ({"again": 0}, True)],
)
async def test_only_an_execution_that_may_have_happened_under_the_same_key_counts(
    world: World, changes: dict[str, Any], executed: bool
) -> None:
    given = (await reset_once(world)).model_copy(update={"again": 1})
    before = given.model_copy(update=changes)
    world.history.others = [BEFORE]
    world.history.calls[BEFORE, "1-0"] = Handed(before, True, DONE)
    assert (await acted(world, given)).text == ("paid" if executed else DONE.text)


@pytest.mark.parametrize("effect", ["read", "write"])
async def test_what_may_be_repeated_is_executed_whatever_was_before_the_reset(world: World, effect: str) -> None:
    await reset_once(world, None)
    world.admit(effect=effect)
    assert (await acted(world, await world.handed())).text == "paid"


async def test_a_run_that_was_not_reset_looks_at_no_other_run(world: World) -> None:
    await reset_once(world, DONE)
    world.change_opening(reset=False)
    assert (await acted(world, await world.handed())).text == "paid"


async def test_a_past_that_cannot_be_read_leaves_a_call_that_may_have_happened(world: World) -> None:
    given = await reset_once(world)
    world.history.past_fault = HistoryError("retention is over")
    error = await failed(world, given)
    assert (error.type, error.message) == (
        "BegunBeforeReset",
        "whether it was executed before: retention is over",
    )
    assert world.tool.ran == []


async def test_a_past_that_cannot_be_read_matters_no_more_once_somebody_was_asked(world: World) -> None:
    given = (await reset_once(world)).model_copy(update={"again": 1})
    world.history.past_fault = HistoryError("retention is over")
    assert (await acted(world, given)).text == "paid"


@pytest.mark.parametrize(("ends", "claims"), [([DONE], 0), ([None], 1), ([LOST], 0)])
async def test_a_shared_effect_knows_itself_what_was_begun_before_the_reset(
    world: World, ends: list[ToolResult | None], claims: int
) -> None:
    result = await acted(world, await reset_once(world, *ends, dedupe="tenant"))
    assert result == (ends[0] or world.effects.claiming.outcome)
    assert len(world.effects.claims) == claims


async def test_a_shared_effect_is_claimed_where_the_past_cannot_be_read(world: World) -> None:
    given = await reset_once(world, dedupe="tenant")
    world.history.past_fault = HistoryError("retention is over")
    assert await acted(world, given) == world.effects.claiming.outcome


@pytest.mark.parametrize(("attempt", "status"), [(1, "cancelled"), (2, "unknown")])
@pytest.mark.parametrize("effect", ["write", "once"])
@pytest.mark.parametrize("dedupe", [None, "tenant"])
async def test_an_effect_that_its_run_no_longer_wants_does_not_begin(
    attempt: int, status: str, effect: str, dedupe: str | None
) -> None:
    world = World(tool_spec(effect=effect, dedupe=dedupe))
    world.attempt(attempt)
    world.attempts.wants = False
    assert (await acted(world, await world.handed())).status == status
    assert world.tool.ran == []


async def test_a_read_asks_nobody_whether_it_is_still_wanted() -> None:
    world = World(tool_spec(effect="read"))
    world.attempts.wants = False
    assert (await acted(world, await world.handed())).status == "completed"
    assert world.attempts.asked == []


async def test_an_effect_waits_where_the_engine_does_not_say_whether_it_is_wanted(world: World) -> None:
    world.attempts.fault = HistoryError("the engine could not be asked: away")
    error = await failed(world, await world.handed())
    assert (error.type, error.non_retryable) == ("Held", True)
    assert world.tool.ran == []
