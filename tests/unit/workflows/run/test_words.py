"""The summaries of activities, as people read them in the Temporal UI."""

import json
from dataclasses import replace

import pytest

from backstay.contracts.decision import ProposedCall
from backstay.kernel.verdict import Code, Outcome, Verdict
from workflows.run.words import CallTold, call_words, names_words, spent_words, summary, verdict_words

ALLOWED = Verdict(Outcome.ALLOW, Code.PERMITTED, "sha256:d", "sha256:p")
DENIED = Verdict(Outcome.DENY, Code.FORBIDDEN, "sha256:d", "sha256:p", rules=("large", "[x](http://h)"))
WAITS = Verdict(Outcome.REQUIRE_APPROVAL, Code.NEEDS_APPROVAL, "sha256:d", "sha256:p", rules=("large",))


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("issue_refund", {"order_id": "A17", "amount": 120}, "issue_refund(order_id='A17', amount=120)"),
        ("note", {"text": "see `x`"}, "``note(text='see `x`')``"),
        ("note", {"text": "![x](http://h.example)"}, "`note(text='![x](http://h.example)')`"),
    ],
)
def test_a_call_is_a_line_and_code_only_where_it_could_come_to_life(
    tool: str, arguments: dict[str, object], words: str
) -> None:
    assert call_words(ProposedCall(call_id="1-0", tool=tool, arguments=json.dumps(arguments))) == words


def test_arguments_that_cannot_be_read_are_not_shown() -> None:
    assert call_words(ProposedCall(call_id="1-0", tool="note", arguments="{")) == "note(…)"


def test_a_verdict_names_its_rules_or_its_code() -> None:
    assert verdict_words(ALLOWED) == "allowed"
    assert verdict_words(DENIED) == "denied (large, `[x](http://h)`)"
    assert verdict_words(replace(DENIED, code=Code.UNKNOWN_TOOL, rules=())) == "denied (unknown_tool)"
    assert verdict_words(WAITS) == "needs approval (large)"


def test_of_many_names_the_first_are_told_and_the_rest_counted() -> None:
    assert names_words(["a", "b", "c", "d", "e"]) == "a, b, c, 2 more"
    assert names_words([]) == ""


def test_what_is_spent_is_told_in_dollars() -> None:
    assert spent_words(13_200) == "0.0132 USD so far"


def test_a_summary_is_never_longer_than_the_server_takes() -> None:
    assert summary("step 1", "a", "b") == "step 1 · a · b"
    assert summary("step 1", "安" * 100, "全" * 100, "b") == f"step 1 · {'安' * 100}"
    assert len(summary("安" * 500, "b").encode()) <= 400


def test_a_call_of_the_last_decision_tells_its_end_once_it_has_one() -> None:
    told = CallTold.of(ProposedCall(call_id="1-0", tool="pay", arguments='{"amount": 5}'), DENIED)
    assert told.refused
    assert told.line == "pay(amount=5) · denied (large, `[x](http://h)`)"
    assert replace(told, status="denied").line.endswith(" · denied")
