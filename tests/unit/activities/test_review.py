"""The one check of a call: does it fit its tool, what does policy say, and which exact call was judged?"""

import asyncio
import itertools
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from activities import review
from activities.threads import MOST_LATE
from backstay.contracts.delegate import Above
from backstay.contracts.policy import Consent, PolicyCall
from backstay.contracts.problems import Problem
from backstay.kernel.origins import Origins
from backstay.kernel.sourcing import Sourcing
from backstay.kernel.verdict import Code, Outcome, Verdict
from backstay.tools.facts import NAMED_BY_USER, NAMED_WEAKLY
from backstay.tools.local_addresses import LOCAL_ADDRESSES

from .fakes import ASK_FINANCE, FORBIDDEN, PERMITTED, Answer, tool_spec
from .world import World, proposed


async def reviewed(
    world: World, arguments: str = '{"amount": 5}', *, tool: str = "pay", call_id: str = "1-0", **asked: Any
) -> Verdict:
    """The verdict over one call, where any worker has to give one; `asked` changes what is said of its run."""
    [verdict] = (await world.authorized(proposed(tool, arguments, call_id), **{"any_tool": True, **asked})).verdicts
    return verdict


async def refused(world: World, code: Code, arguments: str = '{"amount": 5}', **asked: Any) -> str:
    """The message of a call that is refused before policy is asked."""
    verdict = await reviewed(world, arguments, **asked)
    assert (verdict.outcome, verdict.code, verdict.rules) == (Outcome.DENY, code, ())
    assert verdict.policy_version == "sha256:rules-of-clerk"
    assert world.gate.asked == []
    return verdict.message


async def test_policy_is_asked_about_the_call_as_the_tool_will_get_it(world: World) -> None:
    world.tool.defaults = {"currency": "EUR"}
    world.tool.found = lambda values: {"large": values["amount"] > 3}
    consent = Consent(approved_by=["bob"])
    verdict = await reviewed(world, '{"amount": 5, "order": "A17"}', consents={"1-0": consent, "1-1": Consent()})
    assert (verdict.outcome, verdict.code, verdict.rules) == (Outcome.ALLOW, Code.PERMITTED, ("listed-tools",))
    [asked] = world.gate.asked
    assert (asked.agent, asked.tenant, asked.requested_by, asked.now) == ("clerk", "acme", "ann", 1_000)
    assert asked.tool == world.tool.spec
    assert asked.arguments == {"amount": 5, "order": "A17", "currency": "EUR"}
    assert asked.facts == {"large": True, NAMED_BY_USER: ["order"], NAMED_WEAKLY: [], LOCAL_ADDRESSES: []}
    assert asked.consent == consent


async def test_a_call_that_nobody_consented_to_has_an_empty_consent(world: World) -> None:
    await reviewed(world, consents={"1-1": Consent(approved_by=["bob"])})
    assert world.gate.asked[0].consent == Consent()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mail", "there is no such tool; the tools are `pay`"),
        ("", "there is no such tool, because the call names none; the tools are `pay`"),
        ("functions.pay", "there is no such tool; write `pay`; the tools are `pay`"),
        ("pay ", "there is no such tool; write `pay`; the tools are `pay`"),
        ("\ud800", "there is no such tool; the tools are `pay`"),
    ],
)
async def test_a_tool_that_was_not_admitted_is_unknown_and_the_model_is_told_which_there_are(
    world: World, name: str, told: str
) -> None:
    assert await refused(world, Code.UNKNOWN_TOOL, tool=name) == told


async def test_a_tool_that_is_deployed_but_was_not_admitted_is_unknown(world: World) -> None:
    assert await refused(world, Code.UNKNOWN_TOOL, tools={}) == "there is no such tool"


async def test_a_tool_that_was_admitted_but_is_deployed_no_more_is_unknown(world: World) -> None:
    world.catalog.tools.clear()
    assert await refused(world, Code.UNKNOWN_TOOL) == "there is no such tool"


async def test_arguments_that_cannot_be_read_are_invalid_and_not_repeated(world: World) -> None:
    assert await refused(world, Code.INVALID_ARGS, '{"amount": canary') == "the arguments are not valid JSON"


async def test_a_tool_that_changed_since_the_admission_has_drifted(world: World) -> None:
    message = await refused(world, Code.SCHEMA_DRIFT, tools={"pay": "sha256:of-another-schema"})
    assert message == "the tool has changed since the run was admitted"


async def test_arguments_that_do_not_fit_the_tool_are_invalid_field_by_field(world: World) -> None:
    world.tool.problems = [Problem(field="amount", problem="required"), Problem(field="to", problem="unknown field")]
    assert await refused(world, Code.INVALID_ARGS) == "`amount`: required; `to`: unknown field"


async def test_an_integer_of_sixty_four_bits_is_usable_and_has_a_digest_of_its_own(world: World) -> None:
    numbers = [2**53 - 1, 2**53, 2**53 + 1, 1234567890123456789, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)]
    verdicts = [await reviewed(world, f'{{"amount": {number}}}') for number in numbers]
    assert all(verdict.allowed for verdict in verdicts)
    assert len({verdict.digest for verdict in verdicts}) == len(numbers)


async def test_an_integer_beyond_sixty_four_bits_is_invalid(world: World) -> None:
    message = await refused(world, Code.INVALID_ARGS, f'{{"amount": {2**64}}}')
    assert message == "the arguments hold an integer beyond 64 bits; write it as text where text is taken"


@pytest.mark.parametrize("error", [ValueError("canary"), SystemExit("canary"), KeyError("canary")])
async def test_a_fact_that_raises_is_a_refusal_without_its_words(world: World, error: BaseException) -> None:
    def raising(values: Mapping[str, Any]) -> dict[str, Any]:
        raise error

    world.tool.found = raising
    message = await refused(world, Code.POLICY_ERROR)
    assert message == f"policy failed: {type(error).__name__}"


async def test_a_policy_that_raises_is_a_refusal(world: World) -> None:
    world.gate.answer = RuntimeError("canary")
    verdict = await reviewed(world)
    assert (verdict.outcome, verdict.code) == (Outcome.DENY, Code.POLICY_ERROR)
    assert verdict.message == "policy failed: RuntimeError"


async def test_a_verdict_says_what_policy_says_and_cuts_its_words(world: World) -> None:
    world.gate.groups = {"finance": ["ann"]}
    world.gate.answer = Answer(
        Outcome.REQUIRE_APPROVAL, Code.NEEDS_APPROVAL, ("r",), "m" * 1_001, ("finance",), ("y" * 501,), "o" * 501
    )
    verdict = await reviewed(world)
    assert (verdict.outcome, verdict.rules, verdict.groups) == (Outcome.REQUIRE_APPROVAL, ("r",), ("finance",))
    assert (verdict.message, verdict.reasons, verdict.observed) == ("m" * 1_000, ("y" * 500,), "o" * 500)


async def test_the_digest_of_a_call_never_changes(world: World) -> None:
    read, unread = await reviewed(world), await reviewed(world, "{not JSON")
    assert read.digest == "sha256:f51a57a1d7c91c214c505475f7e48ec55822b4f4983bcc997ca9b9f7b8a08bb5"
    assert unread.digest == "sha256:cb67aa92d8298ab2602e29588239c0599e55388dd95ae2828f1b263678322ae0"


async def test_whoever_knows_a_question_can_tell_the_digest_of_its_verdict(world: World) -> None:
    given = world.question(proposed("pay", '{"amount": 5}'))
    [call] = given.calls
    assert review.digest_of(given, call, None) == (await reviewed(world)).digest
    said = Origins({"amount": ("user",)}, copied={"amount": ("5",)})
    assert review.digest_of(given, call, said) not in (None, review.digest_of(given, call, None))
    assert review.digest_of(given, call, said) == review.digest_of(given, call, said.unquoted())
    assert review.digest_of(given, proposed("pay", "{not JSON"), None) is None


@pytest.mark.parametrize("arguments", ['{"amount":5}', '{"amount": 5.0}', ' {"amount": 5e0} '])
async def test_a_call_is_the_same_however_its_arguments_are_spelled(world: World, arguments: str) -> None:
    assert (await reviewed(world, arguments)).digest == (await reviewed(world)).digest


async def test_a_digest_does_not_depend_on_what_policy_says_or_when(world: World) -> None:
    before = await reviewed(world)
    world.gate.answer = FORBIDDEN
    after = await reviewed(world, now=9_999, requested_by="bob", consents={"1-0": Consent(approved_by=["eve"])})
    assert after.outcome is not before.outcome
    assert after.digest == before.digest


async def test_another_run_step_call_schema_or_argument_is_another_call(world: World) -> None:
    facts = world.question().facts.model_copy(update={"step": 2})
    verdicts = [
        await reviewed(world),
        await reviewed(world, run_key="another"),
        await reviewed(world, facts=facts),
        await reviewed(world, call_id="1-1"),
        await reviewed(world, tools={"pay": "sha256:of-another-schema"}),
        await reviewed(world, '{"amount": 6}'),
        await reviewed(world, '{"amount": "5"}'),
        await reviewed(World(tool_spec("mail")), tool="mail"),
        await reviewed(world, "{not JSON"),
        await reviewed(world, "{not JSON either"),
    ]
    assert len({verdict.digest for verdict in verdicts}) == len(verdicts)


async def test_a_fact_that_no_rule_reads_is_not_computed(world: World) -> None:
    world.gate.read = frozenset({"country"})
    world.tool.found = lambda values: {"country": "DE", "name": "ann"}
    await world.authorized(proposed())
    [call] = world.gate.asked
    assert call.facts == {"country": "DE"}


async def test_a_review_that_takes_too_long_is_a_refusal_and_keeps_nobody_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review, "REVIEW_SECONDS", 0.2)
    judged = world.gate.judge

    def slowly(call: PolicyCall) -> Verdict:
        if call.arguments == {"amount": 7}:
            time.sleep(0.6)
        return judged(call)

    world.gate.judge = slowly
    beats: list[float] = []

    async def beat() -> None:
        while True:
            beats.append(time.monotonic())
            await asyncio.sleep(0.01)

    beating = asyncio.create_task(beat())
    calls = [proposed(arguments=f'{{"amount": {n}}}', call_id=f"1-{n}") for n in (5, 7, 9)]
    verdicts = (await world.authorized(*calls)).verdicts
    beating.cancel()
    assert [verdict.code for verdict in verdicts] == [Code.PERMITTED, Code.POLICY_ERROR, Code.POLICY_ERROR]
    assert verdicts[1].message == "the review took longer than 0.2 seconds"
    assert len({verdict.digest for verdict in verdicts}) == 3
    assert max(after - before for before, after in itertools.pairwise(beats)) < 0.15


async def test_late_reviews_of_one_tool_refuse_its_calls_at_once_and_nobody_elses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(review, "REVIEW_SECONDS", 0.3)
    world = World(tool_spec("pay"), tool_spec("mail"))
    judged, go = world.gate.judge, threading.Event()

    def kept(call: PolicyCall) -> Verdict:
        if call.tool.name == "pay":
            go.wait(20)
        return judged(call)

    world.gate.judge = kept
    late = await asyncio.gather(*(world.authorized(proposed(), any_tool=True) for _ in range(MOST_LATE + 2)))
    assert {one.verdicts[0].code for one in late} == {Code.POLICY_ERROR}
    begun = time.monotonic()
    calls = [proposed("mail", call_id="1-0"), proposed("pay", call_id="1-1"), proposed("mail", call_id="1-2")]
    mail, pay, again = (await world.authorized(*calls, any_tool=True)).verdicts
    assert (mail.code, pay.code, again.code) == (Code.PERMITTED, Code.POLICY_ERROR, Code.PERMITTED)
    assert pay.message == "earlier reviews of this tool still work: none is begun before they end"
    assert time.monotonic() - begun < 0.3
    go.set()


ABOVE = [Above(agent="lead", version="1")]


async def test_the_rules_of_every_run_above_are_asked_too(world: World) -> None:
    await reviewed(world, above=[*ABOVE, Above(agent="boss", version="2")])
    assert [(one.agent, one.version) for one in world.gate.asked] == [("clerk", ""), ("lead", "1"), ("boss", "2")]


async def test_a_call_that_the_rules_above_forbid_is_denied(world: World) -> None:
    judge = world.gate.judge

    def above_forbids(call: PolicyCall) -> Verdict:
        world.gate.answer = FORBIDDEN if call.agent == "lead" else PERMITTED
        return judge(call)

    world.gate.judge = above_forbids
    verdict = await reviewed(world, above=ABOVE)
    assert (verdict.outcome, verdict.rules) == (Outcome.DENY, ("no-refunds",))
    assert verdict.policy_version == "sha256:rules-of-clerk"


async def test_the_people_of_a_group_that_several_agents_have_are_those_in_all_of_them(world: World) -> None:
    world.gate.answer = ASK_FINANCE
    groups = {"clerk": ["ann", "bob"], "lead": ["bob", "cem"], "boss": []}
    world.gate.members = lambda agent, group: groups[agent]
    above = [*ABOVE, Above(agent="boss", version="")]
    assert (await world.authorized(proposed(), above=above)).members == {"finance": ["bob"]}
    groups.update({"clerk": [], "lead": []})
    assert (await world.authorized(proposed(), above=above)).members == {"finance": []}


async def test_where_the_rules_above_read_sources_the_values_of_a_call_are_looked_up(world: World) -> None:
    world.gate.sourcing = lambda agent, version="": Sourcing() if agent == "lead" else None
    asked = world.question(proposed(), above=ABOVE)
    assert world.reviewer.traces(asked, asked.calls)
    assert not world.reviewer.traces(asked.model_copy(update={"above": []}), asked.calls)
