"""Verdicts that came with a decision hold only for the very question that the run asks now, and only once."""

from typing import Any

import pytest
from temporalio import workflow

from backstay.contracts.decision import Beforehand, EarlyVerdicts, ProposedCall
from backstay.contracts.policy import AuthorizeInput, AuthorizeResult, Consent, RunFacts
from backstay.kernel.meter import Bound
from backstay.kernel.verdict import Code, Outcome, Verdict
from workflows.run.early import FRESH_SECONDS, LISTENS, early_verdicts
from workflows.run.live import LiveRun

CALL = ProposedCall(call_id="1-0", tool="pay", arguments="{}")
BEFORE = Beforehand(spent_usd=40, tool_calls=3, recent={"pay": 2}, taint=["mail"], exposure={"m": 5})
YES = Verdict(Outcome.ALLOW, Code.PERMITTED, "sha256:call", "sha256:rules", ("listed",))
JUDGED = EarlyVerdicts(verdicts=[YES], identities=["i"], members={"finance": ["ann"]}, now=1_000, spent_usd=50)
FACTS = RunFacts(step=1, spent_usd=50, tool_calls=3, tool_calls_60s={"pay": 2}, taint=["mail"], exposure={"m": 5})


def asked(**changes: Any) -> AuthorizeInput:
    """The question of now."""
    given = AuthorizeInput(
        run_id="r",
        run_key="k",
        agent="a",
        tenant="t",
        requested_by=None,
        goal="g",
        facts=FACTS,
        now=1_001,
        calls=[CALL],
        tools={},
    )
    return given.model_copy(update=changes)


@pytest.fixture
def listened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[AuthorizeInput, AuthorizeResult]]:
    """What a replay hears."""
    heard: list[tuple[AuthorizeInput, AuthorizeResult]] = []
    monkeypatch.setattr(workflow, "extern_functions", lambda: {LISTENS: lambda *told: heard.append(told)})
    return heard


def test_they_are_the_answer_to_the_question_that_they_were_given_for(
    run: LiveRun, listened: list[tuple[AuthorizeInput, AuthorizeResult]]
) -> None:
    run.early = (BEFORE, JUDGED)
    found = early_verdicts(run, asked())
    assert found == AuthorizeResult(verdicts=[YES], identities=["i"], members={"finance": ["ann"]})
    assert listened == [(asked(), found)]
    assert early_verdicts(run, asked()) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"facts": FACTS.model_copy(update={"spent_usd": 51})},
        {"facts": FACTS.model_copy(update={"tool_calls_60s": {"pay": 1}})},
        {"facts": FACTS.model_copy(update={"taint": []})},
        {"facts": FACTS.model_copy(update={"exposure": {"m": 6}})},
        {"facts": FACTS.model_copy(update={"tool_calls": 4})},
        {"bounds": {"m": [Bound(10)]}},
        {"now": 1_000 + FRESH_SECONDS + 1},
        {"calls": [CALL, CALL.model_copy(update={"call_id": "1-1"})]},
        {"counted": {"1-0": {}}},
        {"consents": {"1-0": Consent()}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_they_are_no_answer_once_anything_is_otherwise(run: LiveRun, changes: dict[str, Any]) -> None:
    run.early = (BEFORE, JUDGED)
    assert early_verdicts(run, asked(**changes)) is None
    assert early_verdicts(run, asked()) is None


def test_a_decision_that_came_without_has_none(run: LiveRun) -> None:
    assert early_verdicts(run, asked()) is None
