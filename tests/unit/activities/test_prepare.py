"""Preparing a call: the verdict as of now, and what the tool is handed."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from activities.prepare import this_run
from backstay.contracts.decision import DecideInput
from backstay.contracts.history import RunRef
from backstay.contracts.policy import Consent
from backstay.errors import HistoryError, ToolError
from backstay.kernel.ledger_period import Period
from backstay.kernel.origins import Origins
from backstay.kernel.sourcing import Sourcing
from backstay.kernel.standing import Use
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
    assert verdict.digest == ""  # the one that fits would be a ticket
    assert ready is not None


async def test_a_call_under_the_key_of_another_run_is_denied(world: World) -> None:
    verdict, _ = await world.reviewed_again(await world.handed(run_key="of another run"))
    assert (verdict.outcome, verdict.digest) == (Outcome.DENY, "")


async def test_a_call_that_policy_denies_keeps_the_words_of_policy_whatever_its_digest(world: World) -> None:
    given = await world.handed(digest="sha256:of-another-call")
    world.gate.answer = FORBIDDEN
    verdict, ready = await world.reviewed_again(given)
    assert (verdict.code, verdict.message, verdict.digest) == (Code.FORBIDDEN, "refunds are closed", "")
    assert ready is not None


async def test_a_call_that_does_not_fit_its_tool_is_not_prepared(world: World) -> None:
    given = await world.handed(any_tool=True)
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


async def test_a_call_that_means_something_else_than_what_was_held_for_it_is_denied() -> None:
    world = World(tool_spec(exposure=["refunds_usd"]))
    world.tool.adds = lambda values: {"refunds_usd": values["amount"]}
    given = await world.handed(exposure={"refunds_usd": 50_000})
    assert (await world.reviewed_again(given))[0].allowed
    verdict, _ = await world.reviewed_again(given.model_copy(update={"exposure": {}}))
    assert (verdict.outcome, verdict.message) == (Outcome.DENY, "the call does not mean what was held for it")


async def test_the_boundary_judges_a_call_with_the_sums_over_many_runs_that_it_was_counted_with() -> None:
    world = World(tool_spec(exposure=["refunds_usd"]))
    world.tool.adds = lambda values: {"refunds_usd": values["amount"]}
    given = await world.handed(exposure={"refunds_usd": 50_000}, counted={"refunds_usd": {Period.DAY: 940_000}})
    assert (await world.reviewed_again(given))[0].allowed
    assert world.gate.asked[-1].counted == {"refunds_usd": {Period.DAY: 990_000}}


@pytest.mark.parametrize(("attempt", "now"), [(1, 7_000), (2, 5_000)])
async def test_a_standing_grant_must_hold_when_its_call_is_begun_and_not_when_it_is_tried_again(
    world: World, attempt: int, now: int
) -> None:
    given = await world.handed(now=5_000)
    world.env.info = replace(world.env.info, attempt=attempt, started_time=datetime.fromtimestamp(7_000, UTC))
    use = Use("grt_1", "ann", 6_000_000, (), 1, 2)
    for consent, wanted in ((Consent(), 5_000), (Consent(use=use), now)):
        await world.env.run(world.reviewed_again, given.model_copy(update={"consent": consent}))
        assert world.gate.asked[-1].now == wanted


class TestOrigins:
    """Where the values of a call come from, just before its side effect."""

    async def test_the_second_look_takes_what_was_recorded(self, world: World) -> None:
        world.gate.known = Sourcing()
        given = await world.traced(proposed())
        assert given.origins is not None
        world.history.inputs.clear()
        verdict, _ = await world.reviewed_again(given)
        assert (verdict.allowed, verdict.origins) == (True, given.origins)

    async def test_other_origins_are_those_of_another_call(self, world: World) -> None:
        world.gate.known = Sourcing()
        given = await world.traced(proposed())
        verdict, _ = await world.reviewed_again(given.model_copy(update={"origins": Origins()}))
        assert verdict.message == "the call is not the one that was authorised"

    async def test_rules_that_have_come_since_find_out_by_what_stood_before_the_call(self, world: World) -> None:
        world.history.inputs[1] = DecideInput(step=1, run_key="key", max_output_tokens=50, attempts=2)
        given = await world.handed()
        world.gate.known = Sourcing()
        await world.reviewed_again(given)
        assert world.gate.asked[-1].origins == Origins({"amount": ("model",)})
