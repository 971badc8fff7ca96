"""`authorize`: one verdict per call of a decision, small enough for one event of the history."""

from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.authorize import WORDS_BYTES, Authorize
from activities.review import Reviewer
from backstay.contracts.decision import DecideInput, Decision, ProposedCall
from backstay.contracts.policy import AuthorizeResult
from backstay.errors import ForeignRunError
from backstay.kernel import past
from backstay.kernel.origins import Origins
from backstay.kernel.sourcing import Sourcing
from backstay.kernel.verdict import Code, Outcome

from .fakes import ASK_FINANCE, Answer, tool_spec
from .world import World, facts, proposed


async def test_every_call_has_its_verdict_in_the_order_asked(world: World) -> None:
    calls = [proposed(), proposed("mail", call_id="1-1"), proposed(arguments="{", call_id="1-2")]
    verdicts = (await world.authorized(*calls)).verdicts
    assert [verdict.code for verdict in verdicts] == [Code.PERMITTED, Code.UNKNOWN_TOOL, Code.INVALID_ARGS]


async def test_a_decision_without_calls_needs_no_verdict(world: World) -> None:
    result = await world.authorized()
    assert (result.verdicts, result.members) == ([], {})


async def test_the_members_of_the_groups_that_are_asked_for_are_recorded(world: World) -> None:
    world.gate.groups = {"finance": ["ann", "bob"], "ops": ["olga"]}
    world.gate.answer = ASK_FINANCE
    assert (await world.authorized(proposed())).members == {"finance": ["ann", "bob"]}


async def test_a_group_that_is_needed_twice_is_one_group(world: World) -> None:
    world.gate.groups = {"finance": ["ann", "bob"]}
    world.gate.answer = Answer(Outcome.REQUIRE_APPROVAL, Code.NEEDS_APPROVAL, groups=("finance:2",))
    assert (await world.authorized(proposed(), proposed(call_id="1-1"))).members == {"finance": ["ann", "bob"]}


async def test_the_words_of_many_verdicts_share_the_room_of_one_event(world: World) -> None:
    world.gate.groups = {"finance": ["ann"]}
    rules = tuple(f"rule-{number:02}" for number in range(30))
    reasons = tuple("é" * 500 for _ in rules)
    world.gate.answer = Answer(
        Outcome.REQUIRE_APPROVAL, Code.NEEDS_APPROVAL, rules, "é" * 1_000, ("finance",), reasons, "é" * 500
    )
    calls = [proposed(call_id=f"1-{number}") for number in range(100)]
    verdicts = (await world.authorized(*calls)).verdicts
    words = [text for verdict in verdicts for text in (verdict.message, verdict.observed, *verdict.reasons)]
    assert WORDS_BYTES * 0.9 < sum(len(text.encode()) for text in words) <= WORDS_BYTES
    assert set("".join(words)) == {"é"}
    assert all(verdict.rules == rules and verdict.groups == ("finance",) for verdict in verdicts)


async def test_the_words_of_one_verdict_stay_whole(world: World) -> None:
    world.gate.answer = Answer(
        Outcome.DENY, Code.FORBIDDEN, ("r",), "closed on Sundays", (), ("it is Sunday",), "would deny"
    )
    [verdict] = (await world.authorized(proposed())).verdicts
    assert (verdict.message, verdict.reasons, verdict.observed) == (
        "closed on Sundays",
        ("it is Sunday",),
        "would deny",
    )


async def test_a_workflow_that_is_no_run_of_ours_gets_no_verdict_and_no_digest(world: World) -> None:
    authorize = Authorize(world.conversations, Reviewer(world.catalog, world.gate)).authorize
    world.history.fault = ForeignRunError("no run of ours")
    with pytest.raises(ApplicationError, match="no run of ours") as refused:
        await world.env.run(authorize, world.question(proposed()))
    assert (refused.value.type, refused.value.non_retryable) == ("ForeignRun", True)
    assert world.gate.asked == []


@pytest.mark.parametrize("gone", [True, False])
async def test_calls_that_this_worker_does_not_serve_are_left_to_another(world: World, gone: bool) -> None:
    world.catalog.gone = gone
    given = {"pay": "sha256:of-another-version"}
    with pytest.raises(ApplicationError) as refused:
        await world.authorized(proposed(), tools=given)
    assert (refused.value.type, refused.value.non_retryable) == ("Unserved" if gone else "UnservedTool", True)


async def test_a_tool_that_no_worker_serves_as_admitted_has_drifted(world: World) -> None:
    given = {"pay": "sha256:of-another-version"}
    [verdict] = (await world.authorized(proposed(), tools=given, any_tool=True)).verdicts
    assert verdict.code is Code.SCHEMA_DRIFT


async def test_calls_that_the_tool_cannot_tell_apart_have_one_identity(world: World) -> None:
    world.tool.defaults["currency"] = "EUR"
    spellings = ['{"amount": 5}', '{ "amount":5.0 }', '{"currency": "EUR", "amount": 5}', '{"amount": 6}', "{"]
    calls = [proposed(arguments=arguments, call_id=f"1-{at}") for at, arguments in enumerate(spellings)]
    one, same, stated, other, bad = (await world.authorized(*calls)).identities
    assert one == same == stated
    assert len({one, other, bad}) == 3
    assert bad == ""


async def test_a_call_that_cannot_be_spelled_has_no_identity(world: World) -> None:
    world.tool.defaults["weird"] = object()
    assert (await world.authorized(proposed())).identities == [""]


async def test_a_call_counts_in_the_meters_of_those_after_it_in_the_same_decision() -> None:
    world = World(tool_spec(exposure=["refunds_usd"]), tool_spec("look"))
    world.tool.adds = lambda values: {"refunds_usd": values["amount"]}
    given = facts().model_copy(update={"exposure": {"refunds_usd": 7}})
    calls = [
        proposed(arguments='{"amount": 1}'),
        proposed(arguments='{"amount": -1}', call_id="1-1"),
        proposed("look", "{}", "1-2"),
        proposed(arguments='{"amount": 2}', call_id="1-3"),
    ]
    verdicts = (await world.authorized(*calls, facts=given)).verdicts
    assert [dict(one.exposure) for one in verdicts] == [{"refunds_usd": 10_000}, {}, {}, {"refunds_usd": 20_000}]
    assert verdicts[1].code is Code.INVALID_EXPOSURE
    assert [one.exposure["refunds_usd"] for one in world.gate.asked] == [10_007, 10_007, 30_007]


class TestOrigins:
    """Where values come from, for agents with rules that read it."""

    async def test_nobody_asks_where_values_come_from_unless_a_rule_reads_it(self, world: World) -> None:
        [verdict] = (await world.authorized(proposed())).verdicts
        assert (verdict.origins, world.gate.asked[0].origins, world.history.reads) == (None, None, [])

    async def test_a_verdict_keeps_what_was_computed_and_policy_reads_it(self, world: World) -> None:
        [verdict] = (await traced(world, proposed(arguments='{"order": "A17", "amount": 5}'))).verdicts
        assert verdict.origins == Origins({"amount": ("model",), "order": ("trusted", "user")})
        assert world.gate.asked[0].origins == verdict.origins

    async def test_what_was_computed_before_is_not_computed_again(self, world: World) -> None:
        known = Origins({"order": ("model",)})
        [verdict] = (await traced(world, proposed(arguments='{"order": "A17"}'), origins={"1-0": known})).verdicts
        assert (verdict.origins, world.history.reads) == (known, [])

    async def test_the_digest_is_for_the_call_and_where_its_values_come_from(self, world: World) -> None:
        plain = (await world.authorized(proposed())).verdicts[0].digest
        one = (await traced(world, proposed())).verdicts[0].digest
        again = (await traced(world, proposed())).verdicts[0].digest
        other = (await traced(world, proposed(), origins={"1-0": Origins()})).verdicts[0].digest
        assert one == again
        assert len({plain, one, other}) == 3

    async def test_a_history_that_does_not_show_the_decision_is_asked_again(self, world: World) -> None:
        world.gate.known = Sourcing()
        with pytest.raises(ApplicationError) as caught:
            await world.authorized(proposed())
        assert (caught.value.type, caught.value.non_retryable) == ("HistoryError", False)

    async def test_a_run_that_read_more_than_can_be_told_apart_is_denied(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(past, "MOST_SIGNS", 1)
        [verdict] = (await traced(world, proposed())).verdicts
        assert (verdict.outcome, verdict.code) == (Outcome.DENY, Code.POLICY_ERROR)
        assert verdict.message == "where its values come from cannot be told: FullError"


async def traced(world: World, *calls: ProposedCall, **changes: Any) -> AuthorizeResult:
    """The verdicts over the calls of a recorded decision, for an agent with rules that read where values come from."""
    world.gate.known = Sourcing()
    decision = Decision(calls=list(calls))
    world.history.decisions[1] = decision
    world.history.inputs[1] = DecideInput(step=1, run_key="key", max_output_tokens=50, attempts=2)
    return await world.authorized(*calls, decision=decision.digest(1), **changes)


async def test_a_brief_question_is_answered_as_the_whole_one(world: World) -> None:
    decision = Decision(calls=[proposed()])
    world.history.decisions[1] = decision
    whole = world.question(*decision.calls, decision=decision.digest(1))
    authorize = Authorize(world.conversations, world.reviewer).authorize
    answers = [await world.env.run(authorize, given) for given in (whole, whole.in_brief())]
    assert answers[0] == answers[1]
    assert answers[0].verdicts[0].code is Code.PERMITTED


async def test_a_brief_question_about_a_call_that_the_history_does_not_show_yet_is_asked_again(world: World) -> None:
    authorize = Authorize(world.conversations, world.reviewer).authorize
    with pytest.raises(ApplicationError, match="no call 1-0") as refused:
        await world.env.run(authorize, world.question(proposed()).in_brief())
    assert (refused.value.type, refused.value.non_retryable) == ("HistoryError", False)
