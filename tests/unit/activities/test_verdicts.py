"""The verdicts that come with a decision are those of `authorize`; nothing that they need delays or loses a reply."""

from datetime import UTC, datetime
from typing import Any

import pytest

from activities import brief
from activities.authorize import Authorize
from activities.decide import Decide
from activities.verdicts import EarlyJudge
from backstay.contracts.conversation import ModelReply
from backstay.contracts.decision import Beforehand, BilledUsage, DecideInput, DecideResult, Decision, EarlyVerdicts
from backstay.contracts.policy import RunFacts
from backstay.kernel.meter import Bound
from backstay.kernel.price import Price, Tier
from backstay.kernel.verdict import Outcome

from .fakes import ASK_FINANCE, FORBIDDEN, PERMITTED, Answer
from .world import World, proposed

USAGE = BilledUsage(input_tokens=1_000, output_tokens=100)
BEFORE = Beforehand(
    spent_usd=40, tool_calls=3, recent={"pay": 2}, taint=["mail"], exposure={"m": 5}, bounds={"m": [Bound(10)]}
)
PAYS = Decision(calls=[proposed(), proposed(call_id="1-1", arguments='{"amount": 6}')])


class Deciding:
    """A worker whose rules were quick the last time, so that reviews are brief."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(brief, "MOST_SECONDS", 5.0)
        self.world = World()
        self.world.tool.plain = True
        self.world.gate.read = frozenset()
        self.world.gate.groups = {"finance": ["ann"]}
        self.world.asking = type(self.world.asking)(
            self.world.conversations,
            self.world.models,
            self.world.control,
            EarlyJudge(Authorize(self.world.conversations, self.world.reviewer)),
        )

    async def quick(self) -> None:
        """Lets the worker see that the rules are quick."""
        await self.world.authorized(proposed())
        self.world.gate.asked.clear()

    async def decided(
        self, decision: Decision = PAYS, usage: BilledUsage | None = USAGE, **changes: Any
    ) -> DecideResult:
        """The result of a decision."""
        self.world.models.answer = ModelReply(decision, usage, "m-2026")
        given = DecideInput(step=1, run_key="key", max_output_tokens=50, attempts=2, beforehand=BEFORE)
        return await self.world.env.run(
            Decide(self.world.asking, self.world.alarms).decide, given.model_copy(update=changes)
        )


@pytest.fixture
async def deciding(monkeypatch: pytest.MonkeyPatch) -> Deciding:
    found = Deciding(monkeypatch)
    await found.quick()
    return found


@pytest.mark.parametrize("answer", [PERMITTED, FORBIDDEN, ASK_FINANCE])
async def test_they_are_those_that_authorize_gives_to_the_same_question(deciding: Deciding, answer: Answer) -> None:
    deciding.world.gate.answer = answer
    judged = (await deciding.decided()).judged
    assert isinstance(judged, EarlyVerdicts)
    facts = RunFacts.after(BEFORE, 1, judged.spent_usd, PAYS.calls)
    version = deciding.world.history.openings[next(iter(deciding.world.history.openings))].admission.agent_version
    again = await deciding.world.authorized(
        *PAYS.calls, facts=facts, now=judged.now, bounds=BEFORE.bounds, decision=PAYS.digest(1), version=version
    )
    assert (judged.verdicts, judged.identities, judged.members) == (again.verdicts, again.identities, again.members)
    assert [one.outcome for one in judged.verdicts] == [answer.outcome] * 2
    asked = deciding.world.gate.asked
    assert asked[:2] == asked[2:]


async def test_policy_is_told_the_facts_with_the_decision_and_the_time_of_now(deciding: Deciding) -> None:
    admission = deciding.world.history.openings[next(iter(deciding.world.history.openings))].admission
    price = Price((Tier(0, 1_000_000, 0, 2_000_000),))
    deciding.world.change_opening(
        admission=admission.model_copy(update={"model": admission.model.model_copy(update={"price": price})})
    )
    before = int(datetime.now(UTC).timestamp())
    judged = (await deciding.decided()).judged
    assert judged is not None
    assert judged.spent_usd == 40 + 1_000 + 200
    assert before <= judged.now <= before + 60
    facts = deciding.world.gate.asked[0].run
    assert (facts.step, facts.spent_usd, facts.tool_calls, facts.tool_calls_60s) == (1, 1_240, 3, {"pay": 2})
    assert (facts.taint, dict(facts.exposure)) == (["mail"], {"m": 5})


@pytest.mark.parametrize(
    ("decision", "usage", "changes"),
    [
        (Decision(text="done"), USAGE, {}),
        (PAYS, None, {}),
        (PAYS, USAGE, {"beforehand": None}),
        (Decision(calls=[proposed(call_id=f"1-{n}") for n in range(9)]), USAGE, {}),
        (Decision(calls=[proposed(arguments='{"note": "' + "x" * 2_000 + '"}')]), USAGE, {}),
    ],
    ids=["an answer", "no bill", "facts unknown", "many calls", "long arguments"],
)
async def test_there_are_none_where_the_run_asks_itself(
    deciding: Deciding, decision: Decision, usage: BilledUsage | None, changes: dict[str, Any]
) -> None:
    result = await deciding.decided(decision, usage, **changes)
    assert (result.decision, result.judged) == (decision, None)
    assert deciding.world.gate.asked == []


async def test_a_lost_attempt_leaves_the_question_to_the_run(deciding: Deciding) -> None:
    deciding.world.attempt(2)
    result = await deciding.decided()
    assert (result.lost_attempts, result.judged) == (1, None)


async def test_another_worker_judges_what_this_one_does_not_serve(deciding: Deciding) -> None:
    deciding.world.catalog.gone = True
    result = await deciding.decided()
    assert (result.decision, result.judged) == (PAYS, None)


async def test_a_fault_of_a_review_loses_no_reply(deciding: Deciding, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(deciding.world.reviewer, "check_served", broken)
    result = await deciding.decided()
    assert (result.decision, result.usage, result.judged) == (PAYS, USAGE, None)


async def test_a_refusal_by_a_failing_policy_is_a_refusal(deciding: Deciding) -> None:
    deciding.world.gate.answer = RuntimeError("broken")
    judged = (await deciding.decided()).judged
    assert judged is not None
    assert [one.outcome for one in judged.verdicts] == [Outcome.DENY] * 2
