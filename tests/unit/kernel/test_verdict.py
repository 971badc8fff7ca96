"""A verdict: whether it lets a call through, and whether the call fitted its tool at all."""

import pytest

from backstay.kernel.verdict import Code, Outcome, Verdict


@pytest.mark.parametrize("outcome", Outcome)
def test_a_call_may_be_executed_only_where_its_verdict_allows(outcome: Outcome) -> None:
    verdict = Verdict(outcome, Code.PERMITTED, "d", "v")
    assert verdict.allowed == (outcome == "allow")


@pytest.mark.parametrize("code", Code)
def test_only_bad_arguments_make_a_call_unusable(code: Code) -> None:
    assert Verdict(Outcome.DENY, code, "d", "v").unusable == (code == "invalid_args")
