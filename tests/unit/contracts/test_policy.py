"""What policy is asked and answers: it crosses the wire whole, and nothing is granted by default."""

import pytest

from backstay.contracts.decision import ProposedCall
from backstay.contracts.policy import AuthorizeInput, AuthorizeResult, Consent, RunFacts
from backstay.contracts.problems import Contract
from backstay.kernel.budget import Limits
from backstay.kernel.events import Admitted, CallHeld, Tainted
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Thresholds
from backstay.kernel.verdict import Code, Outcome, Verdict

from .conftest import arrived

VERDICT = Verdict(Outcome.REQUIRE_APPROVAL, Code.NEEDS_APPROVAL, "d", "v", ("r",), "m", ("finance:2",), ("why",))
ASKED = AuthorizeInput(
    run_id="r",
    run_key="key",
    agent="clerk",
    tenant="t",
    requested_by="ann",
    goal="go",
    facts=RunFacts(step=1, spent_usd=2, tool_calls=3),
    now=4,
    calls=[ProposedCall(call_id="1-0", tool="pay", arguments="{}")],
    consents={"1-0": Consent(approved_by=["ann"])},
    tools={"pay": "sha256:t"},
)


@pytest.mark.parametrize(
    "sent",
    [ASKED, AuthorizeResult(verdicts=[VERDICT], identities=["5"], members={"finance": ["ann"]})],
    ids=lambda sent: type(sent).__name__,
)
def test_a_question_to_policy_and_its_answer_arrive_as_they_were_sent(sent: Contract) -> None:
    assert arrived(sent) == sent


def test_nobody_has_consented_and_nothing_was_called_by_default() -> None:
    assert (Consent().approved_by, Consent().editors) == ([], [])
    facts = RunFacts(step=1, spent_usd=0, tool_calls=0)
    assert (facts.tool_calls_60s, facts.taint) == ({}, [])


def test_the_facts_of_a_run_count_neither_the_calls_that_are_judged_nor_what_was_held_after_them() -> None:
    state = RunState().after(Admitted("clerk", "1", "t", None, "m", Limits(), Thresholds(), None, 10))
    for at, amount in (("1-0", 5), ("1-1", 7), ("1-2", 9)):
        state = state.after(CallHeld(at, "pay", 1_000, exposure={"paid": amount}))
    state = state.after(Tainted("mail")).after(Tainted("web", "web"))
    calls = [ProposedCall(call_id="1-1", tool="pay", arguments="{}")]
    facts = RunFacts.of(state, calls, 2_000)
    assert (facts.tool_calls_60s, facts.taint, facts.exposure) == ({"pay": 1}, ["untrusted", "web"], {"paid": 14})
    assert RunFacts.of(state, calls, 2_000, {"paid": 5}).exposure == {"paid": 5}
    assert RunFacts.of(state, calls, 70_000).tool_calls_60s == {"pay": 0}


def test_a_brief_question_leaves_out_what_the_history_holds_and_keeps_what_people_changed() -> None:
    calls = [ProposedCall(call_id=f"1-{number}", tool="pay", arguments='{"n":1}', wire_id="w") for number in range(3)]
    asked = ASKED.model_copy(update={"calls": calls, "consents": {"1-1": Consent(editors=["ann"])}})
    brief = asked.in_brief(["1-2"])
    assert (brief.goal, brief.brief, brief.proposed) == ("", True, ["1-0"])
    assert [call.arguments for call in brief.calls] == ["", '{"n":1}', '{"n":1}']
    assert (asked.goal, asked.brief, asked.proposed) == ("go", False, [])
