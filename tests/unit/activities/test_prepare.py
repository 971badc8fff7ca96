"""Preparing a call: the verdict as of now, and what the tool is handed."""

import pytest

from activities.prepare import this_run
from backstay.contracts.history import RunRef
from backstay.errors import HistoryError, ToolError
from backstay.kernel.verdict import Code, Outcome

from .fakes import FORBIDDEN, RUN, tool_spec
from .world import World, proposed


async def test_a_tool_is_handed_its_call_with_the_arguments_as_written_and_as_its_own_values(world: World) -> None:
    world.tool.defaults = {"currency": "EUR"}
    ready = await world.prepared(await world.handed())
    assert ready.tool is world.tool
    assert (ready.arguments, ready.values) == ({"amount": 5}, {"amount": 5, "currency": "EUR"})
    call = ready.call
    assert (call.run_id, call.step, call.call_id) == ("refund-A17", 1, "1-0")
    assert (call.agent, call.tenant, call.metadata) == ("clerk", "acme", {"ticket": "T1"})


async def test_a_tool_reads_the_secrets_that_it_declares_and_no_others() -> None:
    world = World(tool_spec("pay"), tool_spec("mail"))
    world.tool.secrets = ["SHOP_TOKEN"]
    ready = await world.prepared(await world.handed())
    assert ready.call.secret("SHOP_TOKEN") == "canary-4242"
    other = await world.prepared(await world.handed(proposed("mail")))
    with pytest.raises(ToolError, match="mail has not declared SHOP_TOKEN"):
        other.call.secret("SHOP_TOKEN")


async def test_the_costs_that_a_tool_reports_are_kept_beside_its_call(world: World) -> None:
    ready = await world.prepared(await world.handed())
    ready.call.report_cost("0.00001")
    ready.call.report_cost("0.00003")
    assert ready.costs == [10, 30]


async def test_a_call_has_a_key_of_its_own_unless_it_shares_an_effect(world: World) -> None:
    own = await world.handed()
    shared = own.model_copy(update={"key": "key of the effect"})
    assert own.own_key == shared.own_key == "key/1-0/content"
    assert (await world.prepared(own)).call.idempotency_key == "key/1-0/content"
    assert (await world.prepared(shared)).call.idempotency_key == "key of the effect"


async def test_a_call_that_is_not_the_authorised_one_is_denied_and_prepared_all_the_same(world: World) -> None:
    given = await world.handed(digest="sha256:of-another-call")
    verdict, ready = await world.reviewed_again(given)
    assert (verdict.outcome, verdict.code) == (Outcome.DENY, Code.POLICY_ERROR)
    assert verdict.message == "the call is not the one that was authorised"
    assert ready is not None


async def test_a_call_that_policy_denies_keeps_the_words_of_policy_whatever_its_digest(world: World) -> None:
    given = await world.handed(digest="sha256:of-another-call")
    world.gate.answer = FORBIDDEN
    verdict, ready = await world.reviewed_again(given)
    assert (verdict.code, verdict.message) == (Code.FORBIDDEN, "refunds are closed")
    assert ready is not None


async def test_a_call_that_does_not_fit_its_tool_is_not_prepared(world: World) -> None:
    given = await world.handed()
    world.catalog.tools.clear()
    verdict, ready = await world.reviewed_again(given)
    assert (verdict.code, ready) == (Code.UNKNOWN_TOOL, None)


async def test_a_tool_that_was_not_admitted_is_not_prepared(world: World) -> None:
    given = await world.handed()
    admission = world.history.openings[RUN].admission.model_copy(update={"tools": []})
    world.change_opening(admission=admission)
    verdict, ready = await world.reviewed_again(given)
    assert (verdict.code, ready) == (Code.UNKNOWN_TOOL, None)


async def test_policy_is_asked_with_the_facts_and_the_time_of_the_execution(world: World) -> None:
    given = await world.handed()
    facts = given.facts.model_copy(update={"spent_usd": 77})
    await world.reviewed_again(given.model_copy(update={"facts": facts, "now": 5_000}))
    [asked] = world.gate.asked
    assert (asked.run.spent_usd, asked.now, asked.requested_by) == (77, 5_000, "ann")


async def test_a_call_that_the_history_does_not_hold_is_an_error(world: World) -> None:
    given = await world.handed(call_id="1-7")
    with pytest.raises(HistoryError, match="no call 1-7"):
        await world.reviewed_again(given)


async def test_an_activity_belongs_to_the_run_that_scheduled_it(world: World) -> None:
    async def run() -> RunRef:
        return this_run()

    assert await world.env.run(run) == RUN
