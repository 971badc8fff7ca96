"""What policy is asked and answers: it crosses the wire whole, and nothing is granted by default."""

import pytest

from backstay.contracts.decision import ProposedCall
from backstay.contracts.policy import AuthorizeInput, AuthorizeResult, Consent, RunFacts
from backstay.contracts.problems import Contract
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
