"""Long words of the model that were refused do not go back to it whole; all others do."""

from typing import Any

import pytest

from activities.told import told
from backstay.contracts.conversation import Decided, Item, Observed, Said
from backstay.contracts.decision import Decision, Part, ProposedCall

GOAL = Said("pay it")
LONG = "x" * 100_000
ARGUMENTS = '{"amount": "' + LONG + '"}'
NOTE = Said("The runtime says: it cannot be used.")


def call(number: int = 0, arguments: str = ARGUMENTS, **fields: Any) -> ProposedCall:
    return ProposedCall(call_id=f"1-{number}", tool="pay", arguments=arguments, **fields)


def shown(decision: Decision, *answers: Item) -> Decision:
    item, *rest = told([Decided(decision), *answers])
    assert isinstance(item, Decided)
    assert tuple(rest) == answers
    return item.decision


def test_of_long_arguments_that_were_refused_the_model_reads_the_beginning() -> None:
    raw = '{"amount": "' + "x" * 100_000 + '"}'
    long, short = (ProposedCall(call_id=f"1-{n}", tool="pay", arguments=text) for n, text in enumerate((raw, "{}")))
    decided = Decided(Decision(calls=[long, short]))
    answers = (Observed("1-0", "no", refused=True), Observed("1-1", "no", refused=True))
    shown, *rest = told([decided, *answers])
    assert isinstance(shown, Decided)
    assert len(shown.decision.calls[0].arguments) < 300
    assert shown.decision.calls[1] == short
    assert tuple(rest) == answers
    assert decided.decision.calls[0] == long


def test_long_arguments_that_were_not_refused_are_repeated_whole() -> None:
    call = ProposedCall(call_id="1-0", tool="pay", arguments='{"amount": "' + "x" * 100_000 + '"}')
    conversation = (GOAL, Decided(Decision(calls=[call])), Observed("1-0", "paid"))
    assert told(conversation) == conversation


REFUSED = {
    "arguments that do not fit": (Decision(calls=[call()]), Observed("1-0", "no", refused=True)),
    "arguments that policy or a person denied": (Decision(calls=[call()]), Observed("1-0", "no", denied=True)),
    "arguments that stand there twice": (
        Decision(calls=[call(problem="the call has arguments twice")]),
        Observed("1-0", "no", refused=True),
    ),
    "a call spelled as a text": (Decision(text=f"<tool_call>{ARGUMENTS}", problem="no text"), NOTE),
    "a text that the run alone found to be a call": (Decision(text=ARGUMENTS), NOTE),
    "a text that was cut": (Decision(text=LONG, finish="length"), NOTE),
    "a call that was cut": (Decision(calls=[call()], finish="length"), Observed("1-0", "no")),
    "a text beside a call that was cut": (
        Decision(text=LONG, calls=[call(arguments="{}")], finish="length"),
        Observed("1-0", "no"),
    ),
    "a withheld reply": (Decision(text=LONG, finish="filtered"), NOTE),
    "fields beside a call": (
        Decision(calls=[call(arguments="{}")], parts=[Part(kind="call", extra={"extra_content": LONG})]),
        Observed("1-0", "no", denied=True),
    ),
    "fields inside a function": (
        Decision(calls=[call(arguments="{}")], parts=[Part(kind="call", extra={"function": {"Parameters": LONG}})]),
        Observed("1-0", "no", refused=True),
    ),
    "fields of a reply that was cut": (
        Decision(
            text=LONG,
            finish="length",
            extra={"content": [{"type": "text", "text": LONG}], "reasoning_content": LONG},
            parts=[Part(kind="text", length=len(LONG), extra={"phase": LONG})],
        ),
        NOTE,
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_of_long_words_that_were_refused_a_bounded_beginning_goes_back(kind: str) -> None:
    decision, answer = REFUSED[kind]
    assert len(shown(decision, answer).model_dump_json()) < 10_000


def test_a_text_that_was_cut_short_says_so_and_its_parts_are_not_sent_beside_it() -> None:
    parts = [{"type": "text", "text": "a"}]
    reply = shown(Decision(text=LONG, finish="length", extra={"content": parts, "name": "m"}), NOTE)
    assert reply.text is not None
    assert reply.text.endswith("[cut here: 100000 characters in all, the first 8000 are shown]")
    assert reply.extra == {"name": "m"}


def test_short_words_that_were_refused_go_back_whole() -> None:
    mail = '{"body": "' + "x" * 5_000 + '"}'
    extra = {"extra_content": {"google": {"thought_signature": "s" * 2_000}}}
    denied = Decision(text="hm", calls=[call(arguments=mail)], parts=[Part(kind="call", extra=extra)], extra={"a": 1})
    assert shown(denied, Observed("1-0", "no", denied=True)) == denied
    cut = Decision(text="x" * 5_000, finish="length", extra={"content": [{"type": "text"}]})
    assert shown(cut, NOTE) == cut


def test_what_was_executed_beside_a_refused_call_stays_whole() -> None:
    extra = {"extra_content": LONG}
    decision = Decision(
        text=LONG,
        calls=[call(0), call(1)],
        parts=[Part(kind="call", extra=extra), Part(kind="call", extra=extra)],
        extra={"reasoning_content": LONG},
    )
    reply = shown(decision, Observed("1-0", "paid"), Observed("1-1", "no", denied=True))
    assert (reply.text, reply.extra, reply.calls[0], reply.parts[0].extra) == (
        LONG,
        decision.extra,
        decision.calls[0],
        extra,
    )
    assert (len(reply.calls[1].arguments) < 300, reply.parts[1].extra) == (True, {})


def test_an_answer_stays_whole_where_a_person_said_more_and_a_refused_reply_does_not() -> None:
    more = Said("go on", "go on", by_requester=True, opens=True)
    assert shown(Decision(text=LONG), more).text == LONG
    assert shown(Decision(text=LONG), NOTE, Said("go on", "go on", by_requester=True)).text != LONG
