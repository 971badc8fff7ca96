"""A candidate judges past calls with what was recorded then; what was not recorded, nobody knows."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from activities.conversation import Conversations
from activities.past import Before, RunPast
from activities.review import digest_of
from backstay.checks.against_past import BY_NO_RULE, AgainstPast, Tried, loosest_first
from backstay.checks.candidate import Candidate, candidate_of
from backstay.checks.past_runs import PastRun, Question
from backstay.client.verdicts import JudgedCall
from backstay.contracts.admission import Admission
from backstay.contracts.conversation import Decided, Said
from backstay.contracts.decision import Decision, ProposedCall
from backstay.contracts.delegate import Above
from backstay.contracts.history import RunRef
from backstay.contracts.policy import AuthorizeInput, Consent, RunFacts
from backstay.errors import HistoryError
from backstay.kernel.ledger_period import Period
from backstay.kernel.origins import Origins
from backstay.kernel.verdict import Code, Outcome, Verdict
from backstay.settings import Settings

TOOLS = '''
from backstay.tools import tool

def country(to: str) -> str:
    return "DE"

def euros(amount: int) -> int:
    return amount

@tool(effect="write", facts={"country": ("String", country)}, exposure={"paid": euros}, targets=["to"])
def pay(to: str, amount: int) -> str:
    """Pays somebody."""
    raise AssertionError("nothing is executed")
'''
LOOK = '''
@tool(effect="read")
def look() -> str:
    """Looks."""
    raise AssertionError("nothing is executed")
'''
TOML = """
[approval]
groups = { finance = ["alice"], ops = ["olga"] }
[exposure.paid]
day = true
"""
ALLOW, DENY, ASK = Outcome.ALLOW, Outcome.DENY, Outcome.REQUIRE_APPROVAL
LARGE = 'forbid(principal, action == Action::"pay", resource) when { context.input.amount > 100 };'


def verdict(outcome: Outcome, code: Code = Code.FORBIDDEN, **more: Any) -> Verdict:
    """A recorded verdict over a call that adds 200 to the meter."""
    return Verdict(outcome, code, "sha256:1", "sha256:2", **{"exposure": {"paid": 2_000_000}, **more})


@dataclass
class Desk:
    """An agent that pays, its rules as they may be, and its past calls."""

    agents: Path
    admission: Admission | None = None
    known: Before | None = None

    def candidate(self, rules: str) -> Candidate:
        (self.agents / "clerk" / "policy.cedar").write_text(rules)
        return candidate_of(Settings(agents=[self.agents]), [], [self.agents], ["clerk"])

    def question(self, candidate: Candidate, was: Sequence[Verdict], **given: Any) -> Question:
        agent = candidate.agents["clerk"]
        calls = [
            ProposedCall(call_id=f"1-{at}", tool="pay", arguments=json.dumps({"to": "ann", "amount": 200}))
            for at in range(len(was))
        ]
        known: dict[str, Any] = {
            "run_id": "run-1",
            "run_key": "key",
            "agent": "clerk",
            "tenant": "default",
            "requested_by": None,
            "goal": "pay ann",
            "facts": RunFacts(step=1, spent_usd=0, tool_calls=0, exposure={"paid": 0}),
            "now": 1_000,
            "calls": calls,
            "tools": {"pay": agent.tools["pay"].spec.digest},
            "version": agent.version,
            **given,
        }
        return Question(AuthorizeInput(**known), list(was))

    async def tried(self, rules: str, *was: Verdict, **given: Any) -> list[Tried]:
        candidate = self.candidate(rules)
        return await against(candidate, self.known).tried(
            PastRun(RunRef("run-1", "link-1"), [self.question(candidate, was, **given)], self.admission)
        )

    async def one(self, rules: str, was: Verdict, **given: Any) -> Tried:
        [found] = await self.tried(rules, was, **given)
        return found


@dataclass
class FakeConversations:
    """Knows what runs had read, or does not."""

    known: Before | None = None

    async def before(self, run: RunRef, step: int, decision: str) -> Before:
        if self.known is None:
            raise HistoryError("the history does not show this decision yet")
        return self.known


def against(candidate: Candidate, known: Before | None = None) -> AgainstPast:
    """A candidate on the past, of which nothing more can be read."""
    return AgainstPast(candidate, cast("Conversations", FakeConversations(known)))


@pytest.fixture
def desk(agent_folder: Callable[..., Path]) -> Desk:
    return Desk(agent_folder("clerk", TOML, TOOLS))


async def test_a_call_that_was_denied_and_is_allowed_now_has_changed(desk: Desk) -> None:
    found = await desk.one("", verdict(DENY, rules=("large",)))
    assert (found.changed, found.opens, found.why) == (True, True, "")
    assert found.now is not None
    assert (found.now.outcome, found.step, found.call_id, found.tool) == (ALLOW, 1, "1-0", "pay")


async def test_a_call_that_is_decided_as_before_has_not_changed(desk: Desk) -> None:
    rule = f'@id("large") {LARGE}'
    assert not (await desk.one(rule, verdict(DENY))).changed
    found = await desk.one(rule, verdict(ALLOW, Code.PERMITTED))
    assert found.changed
    assert not found.opens
    assert found.now is not None
    assert found.now.rules == ("large",)


async def test_other_people_who_are_asked_are_a_change(desk: Desk) -> None:
    asked = verdict(ASK, Code.NEEDS_APPROVAL, groups=("finance",))
    assert not (await desk.one(f'@id("large") @approval("finance") {LARGE}', asked)).changed
    assert (await desk.one(f'@id("large") @approval("ops") {LARGE}', asked)).changed


async def test_a_recorded_yes_counts_where_its_group_is_still_the_one_that_is_asked(desk: Desk) -> None:
    released = verdict(ALLOW, Code.PERMITTED)
    consents = {"1-0": Consent(approved_by=["alice"])}
    found = await desk.one(f'@id("large") @approval("finance") {LARGE}', released, consents=consents)
    assert not found.changed
    found = await desk.one(f'@id("large") @approval("ops") {LARGE}', released, consents=consents)
    assert found.now is not None
    assert (found.changed, found.now.outcome) == (True, ASK)


@pytest.mark.parametrize("code", sorted(BY_NO_RULE))
async def test_what_no_rule_refused_no_rule_lets_through(desk: Desk, code: Code) -> None:
    found = await desk.one("", verdict(DENY, code))
    assert not found.changed
    assert found.now is found.was


async def test_a_failure_of_policy_itself_tells_nothing(desk: Desk) -> None:
    found = await desk.one("", verdict(DENY, Code.POLICY_ERROR))
    assert (found.now, found.changed) == (None, False)
    assert "policy failed on it then" in found.why
    assert (await desk.one("", verdict(DENY, Code.POLICY_ERROR, rules=("broken",)))).opens


async def test_a_tool_that_has_changed_leaves_its_calls_unknown(desk: Desk) -> None:
    found = await desk.one("", verdict(DENY), tools={"pay": "sha256:other"})
    assert (found.now, found.why) == (None, "the tool `pay` has changed since then")
    found = await desk.one("", verdict(DENY), agent="gone")
    assert (found.now, found.why) == (None, "the candidate has no agent `gone`")
    call = ProposedCall(call_id="1-0", tool="refund", arguments="{}")
    found = await desk.one("", verdict(DENY), calls=[call])
    assert (found.now, found.why) == (None, "the candidate's agent `clerk` has no tool `refund`")


FACT = '@id("abroad") forbid(principal, action == Action::"pay", resource) unless { context.facts.country == "DE" };'


async def test_facts_are_known_only_where_the_code_of_the_tools_is(desk: Desk) -> None:
    assert (await desk.one(FACT, verdict(ALLOW, Code.PERMITTED))).now is not None
    found = await desk.one(FACT, verdict(ALLOW, Code.PERMITTED), version="sha256:earlier")
    assert (found.now, "the fact `country`" in found.why) == (None, True)
    assert (await desk.one(f'@id("large") {LARGE}', verdict(DENY), version="sha256:earlier")).now is not None


DAY = '@id("day") forbid(principal, action == Action::"pay", resource)'
DAY += ' when { context.exposure.paid.day.greaterThan(decimal("500.0")) };'


async def test_sums_are_those_of_then_and_unknown_where_nobody_counted(desk: Desk) -> None:
    before = {"1-0": {"paid": {Period.DAY: 4_000_000}}}
    found = await desk.one(DAY, verdict(ALLOW, Code.PERMITTED), counted=before)
    assert found.now is not None
    assert found.now.outcome is DENY
    found = await desk.one(DAY, verdict(ALLOW, Code.PERMITTED))
    assert (found.now, "the sum of `paid` by day" in found.why) == (None, True)


RUN_SUM = '@id("run") forbid(principal, action == Action::"pay", resource)'
RUN_SUM += ' when { context.exposure.paid.run.greaterThan(decimal("900.0")) };'


async def test_the_sum_of_a_run_is_known_where_the_same_tools_added_to_it(desk: Desk) -> None:
    nobody_counted = RunFacts(step=1, spent_usd=0, tool_calls=0)
    was = verdict(ALLOW, Code.PERMITTED, exposure={})
    free = ProposedCall(call_id="1-0", tool="look", arguments="{}")
    (desk.agents / "clerk" / "tools.py").write_text(TOOLS + LOOK)
    rules = RUN_SUM.replace('action == Action::"pay"', 'action == Action::"look"')
    given = {"calls": [free], "facts": nobody_counted}
    digest = desk.candidate(rules).digests("clerk")["look"]
    found = await desk.one(rules, was, **given, tools={"look": digest})
    assert (found.now is not None, found.changed) == (True, False)
    found = await desk.one(rules, was, **given, tools={"look": digest}, version="sha256:earlier")
    assert (found.now, "the sum of `paid`, which the history does not tell" in found.why) == (None, True)


async def test_a_call_counts_for_the_next_as_it_was_decided_then(desk: Desk) -> None:
    rule = '@id("run") forbid(principal, action == Action::"pay", resource)'
    rule += ' when { context.exposure.paid.run.greaterThan(decimal("300.0")) };'
    yes = verdict(ALLOW, Code.PERMITTED)
    assert [one.changed for one in await desk.tried(rule, yes, yes)] == [False, True]
    assert [one.changed for one in await desk.tried(rule, verdict(DENY), yes)] == [True, False]


async def test_what_adds_otherwise_to_a_meter_is_unknown(desk: Desk) -> None:
    found = await desk.one("", verdict(ALLOW, Code.PERMITTED, exposure={"paid": 1}))
    assert (found.now, found.why) == (None, "what it adds to meters is not what was recorded")


TARGETS = '@id("whom") forbid(principal, action == Action::"pay", resource)'
TARGETS += ' unless { context.targets.contains("user") };'


async def test_sources_are_those_of_then_and_unknown_where_nobody_can_tell(desk: Desk) -> None:
    said = Origins({"to": ("user",), "amount": ("model",)}, targets=("user",))
    assert not (await desk.one(TARGETS, verdict(ALLOW, Code.PERMITTED, origins=said))).changed
    made_up = replace(said, targets=("model",))
    assert (await desk.one(TARGETS, verdict(ALLOW, Code.PERMITTED, origins=made_up))).changed


async def test_sources_that_nobody_recorded_are_found_in_what_the_run_had_read(desk: Desk) -> None:
    found = await desk.one(TARGETS, verdict(ALLOW, Code.PERMITTED))
    assert (found.now, "the history does not tell what the run had read" in found.why) == (None, True)
    tools = [desk.candidate(TARGETS).agents["clerk"].tools["pay"].spec]
    call = ProposedCall(call_id="1-0", tool="pay", arguments='{"to": "ann@example.com", "amount": 200}')
    for goal, changed in (("pay ann@example.com", False), ("pay somebody", True)):
        desk.known = Before([Said(goal), Decided(Decision(calls=[call]))], RunPast(goal, tools))
        assert (await desk.one(TARGETS, verdict(ALLOW, Code.PERMITTED), calls=[call])).changed == changed


async def test_sources_that_the_candidate_would_tell_otherwise_leave_a_call_unknown(desk: Desk) -> None:
    tools = [desk.candidate(TARGETS).agents["clerk"].tools["pay"].spec]
    call = ProposedCall(call_id="1-0", tool="pay", arguments='{"to": "ann@example.com", "amount": 200}')
    desk.known = Before([Said("pay"), Decided(Decision(calls=[call]))], RunPast("pay", tools))
    said = Origins({"to": ("user",), "amount": ("model",)}, targets=("user",))
    found = await desk.one(TARGETS, verdict(ALLOW, Code.PERMITTED, origins=said), calls=[call])
    assert (found.now, "say otherwise where its values come from" in found.why) == (None, True)


async def test_rules_of_a_run_above_hold_for_the_calls_below(desk: Desk) -> None:
    above = {"above": [Above(agent="boss", version="sha256:b")]}
    released = verdict(ALLOW, Code.PERMITTED)
    assert (await desk.one("", released, **above)).why == "the candidate has no agent `boss`"
    shutil.copytree(desk.agents / "clerk", desk.agents / "boss")
    assert not (await desk.one("", released, **above)).changed
    for rules, why in (
        (f'@id("large") {LARGE}', ""),
        (DAY, "the sum of `paid` by day"),
        (TARGETS, "what the run had read"),
    ):
        (desk.agents / "boss" / "policy.cedar").write_text(rules)
        found = await desk.one("", released, **above)
        assert (found.changed, why in found.why) == (not why, True)


async def test_a_call_that_was_judged_twice_is_told_once(desk: Desk) -> None:
    candidate = desk.candidate(f'@id("large") @approval("ops") {LARGE}')
    asked = desk.question(candidate, [verdict(ASK, Code.NEEDS_APPROVAL, groups=("ops",))])
    consents = {"1-0": Consent(approved_by=["alice"])}
    released = desk.question(candidate, [verdict(ALLOW, Code.PERMITTED)], consents=consents)
    [found] = await against(candidate).tried(PastRun(RunRef("run-1", "link-1"), [asked, released]))
    assert (found.changed, found.was.outcome) == (True, ALLOW)


async def test_the_beginning_that_a_reset_repeats_is_told_once(desk: Desk) -> None:
    candidate = desk.candidate("")
    question = desk.question(candidate, [verdict(DENY)])
    later = desk.question(candidate, [verdict(DENY)], now=2_000)
    trial = against(candidate)
    assert len(await trial.tried(PastRun(RunRef("run-1", "link-1"), [question]))) == 1
    assert await trial.tried(PastRun(RunRef("run-1", "link-2"), [question])) == []
    assert len(await trial.tried(PastRun(RunRef("run-1", "link-3"), [question, later]))) == 1
    assert len(await trial.tried(PastRun(RunRef("run-2", "link-1"), [question]))) == 1


async def test_calls_of_before_and_of_other_agents_are_left_out(desk: Desk) -> None:
    candidate = desk.candidate("")
    run = PastRun(RunRef("run-1", "link-1"), [desk.question(candidate, [verdict(DENY)])])
    assert len(await against(candidate).tried(run, 1_000, "clerk")) == 1
    assert await against(candidate).tried(run, 1_001) == []
    assert await against(candidate).tried(run, agent="another") == []


async def test_calls_of_a_history_that_does_not_replay_are_unknown(desk: Desk) -> None:
    call = ProposedCall(call_id="1-0", tool="pay", arguments="{}")
    run = PastRun(RunRef("run-1", "link-1"), calls=[JudgedCall("run-1", 1, call, verdict(DENY))], trouble="why not")
    [found] = await against(desk.candidate("")).tried(run)
    assert (found.now, found.why, found.changed) == (None, "why not", False)


async def archived(desk: Desk, rules: str, was: Verdict, unknown: str = "", **given: Any) -> Tried:
    """A call as an archive has it, without schemas of tools, judged by a candidate; its digest is that of a run."""
    candidate = desk.candidate(rules)
    question = desk.question(candidate, [was], **given)
    was = replace(was, digest=digest_of(question.given, question.given.calls[0], was.origins) or "")
    asked = question.given.model_copy(update={"tools": {}})
    run = PastRun(RunRef("run-1", "link-1"), [Question(asked, [was], unknown)], archived=True)
    [found] = await AgainstPast(candidate).tried(run)
    return found


async def test_a_call_that_the_archive_alone_has_is_judged_like_any_other(desk: Desk) -> None:
    assert (await archived(desk, "", verdict(DENY, rules=("large",)))).opens
    assert not (await archived(desk, f'@id("large") {LARGE}', verdict(DENY))).changed
    said = Origins({"to": ("user",), "amount": ("model",)}, targets=("model",))
    assert (await archived(desk, TARGETS, verdict(ALLOW, Code.PERMITTED, origins=said))).changed


async def test_the_digest_tells_whether_a_tool_in_the_archive_is_still_the_same(desk: Desk) -> None:
    candidate = desk.candidate("")
    question = desk.question(candidate, [verdict(DENY)])
    [found] = await AgainstPast(candidate).tried(PastRun(RunRef("run-1", "link-1"), [question], archived=True))
    assert found.now is None
    assert found.why == "the tool `pay` has changed since then, or the run was in another namespace"
    assert (await archived(desk, "", verdict(DENY), agent="gone")).why == "the candidate has no agent `gone`"


async def test_what_the_archive_does_not_tell_leaves_a_call_unknown(desk: Desk) -> None:
    found = await archived(desk, "", verdict(DENY), "the archive does not tell")
    assert (found.now, found.why) == (None, "the archive does not tell")
    found = await archived(desk, TARGETS, verdict(ALLOW, Code.PERMITTED))
    assert (found.now, "the archive does not tell what the run had read" in found.why) == (None, True)
    found = await archived(desk, DAY, verdict(ALLOW, Code.PERMITTED))
    assert (found.now, "the sum of `paid` by day, which the archive does not tell" in found.why) == (None, True)
    assert (await archived(desk, "", verdict(DENY, Code.UNKNOWN_TOOL), "the archive does not tell")).now is not None


async def test_what_was_denied_and_is_allowed_comes_first() -> None:
    pairs = [(ALLOW, DENY), (ALLOW, ASK), (ASK, ALLOW), (DENY, ALLOW), (DENY, DENY), (DENY, ASK), (ASK, DENY)]
    tried = [Tried("run-1", at, f"{at}-0", "pay", verdict(was), verdict(now)) for at, (was, now) in enumerate(pairs)]
    order = [(one.was.outcome, one.now.outcome) for one in loosest_first(tried) if one.now]
    assert order == [(DENY, ALLOW), (DENY, ASK), (ASK, ALLOW), (ALLOW, ASK), (ASK, DENY), (ALLOW, DENY)]
    assert loosest_first([Tried("run-1", 1, "1-0", "pay", verdict(DENY), None, "why")]) == []
