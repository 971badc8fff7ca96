"""One decision: it crosses the wire whole, and its digest tells it from every other."""

import pytest

from backstay.contracts.decision import (
    BilledUsage,
    DecideInput,
    DecideResult,
    Decision,
    Heard,
    LostAttempts,
    Observation,
    Part,
    ProposedCall,
    short_digest,
)
from backstay.contracts.problems import Contract
from backstay.kernel.arguments import Unreadable
from backstay.kernel.price import Lost, Price, Tier, Usage

from .conftest import arrived

CALL = ProposedCall(call_id="1-0", tool="pay", arguments='{"amount": 5}')
RETURNED = Decision(
    calls=[CALL.model_copy(update={"wire_id": "D681PevKs"})],
    parts=[
        Part(kind="text", length=2, extra={"phase": "final"}),
        Part(kind="call", extra={"extra_content": {"s": "ü"}}),
    ],
    extra={"reasoning_content": "hm"},
)
SENT: list[Contract] = [
    RETURNED,
    Decision(text="hm", calls=[CALL], finish="length", reasoning=[{"type": "reasoning", "id": "rs_1"}]),
    DecideInput(
        step=1,
        run_key="k",
        previous="d",
        max_output_tokens=5,
        attempts=3,
        observations=[Observation(call_id="1-0", digest="d"), Observation(call_id="1-1", text="denied")],
        notes=["The runtime says: no."],
    ),
    DecideResult(
        decision=Decision(text="5"),
        usage=BilledUsage(input_tokens=5, output_tokens=1, cached_tokens=4),
        lost_attempts=1,
        model="m",
    ),
    LostAttempts(lost_attempts=2),
]


@pytest.mark.parametrize("sent", SENT, ids=lambda sent: type(sent).__name__)
def test_a_decision_arrives_as_it_was_sent(sent: Contract) -> None:
    assert arrived(sent) == sent


def test_a_call_with_a_problem_has_no_arguments() -> None:
    assert CALL.model_copy(update={"problem": "under another name"}).parsed == Unreadable("under another name")


def test_the_digest_of_a_decision_tells_any_two_apart() -> None:
    decisions = [
        Decision(),
        Decision(text=""),
        Decision(text="5"),
        Decision(calls=[CALL]),
        Decision(finish="length"),
        Decision(reasoning=[{"id": "rs_1"}]),
        Decision(problem="no"),
    ]
    assert len({decision.digest(1) for decision in decisions}) == len(decisions)
    assert Decision(text="5").digest(1) == Decision.model_validate_json('{"text": "5"}').digest(1)
    assert Decision().digest(1) != Decision().digest(2)


def test_what_goes_back_beside_text_and_calls_is_told_for_the_bound_of_the_input() -> None:
    assert list(RETURNED.returned()) == [
        '{"reasoning_content": "hm"}',
        '{"phase": "final"}',
        '{"extra_content": {"s": "ü"}}',
        "D681PevKsD681PevKspay",
    ]
    assert list(Decision(text="hm", calls=[CALL], reasoning=[{"id": "rs_1"}]).returned()) == []


def test_a_decision_of_an_older_history_is_read() -> None:
    old = '{"text": "5", "calls": [{"call_id": "1-0", "tool": "pay", "arguments": "{}"}], "finish": "stop"}'
    read = Decision.model_validate_json(old)
    assert (read.calls[0].wire_id, read.parts, read.extra) == (None, [], {})


@pytest.mark.parametrize("length", [129, 10_000])
def test_an_id_of_a_server_is_bounded(length: int) -> None:
    with pytest.raises(ValueError, match="at most 128"):
        ProposedCall(call_id="1-0", tool="pay", arguments="{}", wire_id="x" * length)


def test_a_short_digest_is_made_of_any_text() -> None:
    assert short_digest("") == "e3b0c44298fc1c14"
    assert short_digest("\ud800") != short_digest("\ud801")


def test_a_call_says_the_same_however_its_arguments_are_spelled() -> None:
    calls = [
        ProposedCall(call_id="1-0", tool="pay", arguments=text) for text in ('{"a":1,"b":2}', '{ "b": 2, "a": 1 }', "{")
    ]
    assert calls[0].content == calls[1].content == 'pay\n{"a":1,"b":2}'
    assert calls[2].content == "pay\n{"


def test_whole_numbers_are_integers_in_what_a_call_says_once_it_is_so_marked() -> None:
    call = ProposedCall(call_id="1-0", tool="pay", arguments='{"a": 5.0, "b": [1.5, 3e0]}')
    assert call.content == 'pay\n{"a":5.0,"b":[1.5,3.0]}'  # as in histories that were recorded before
    assert call.model_copy(update={"whole": True}).content == 'pay\n{"a":5,"b":[1.5,3]}'


def test_an_edited_call_is_read_anew() -> None:
    call = ProposedCall(call_id="1-0", tool="pay", arguments='{"amount": 5}')
    assert call.parsed == {"amount": 5}
    edited = call.edited({"amount": 7})
    assert (edited.call_id, edited.tool, edited.parsed) == ("1-0", "pay", {"amount": 7})


@pytest.mark.parametrize(("sent", "usd"), [(0, 4), (3, 4), (9, 9)])
def test_a_bill_at_another_price_is_the_dearer_of_both(sent: int, usd: int) -> None:
    bill = BilledUsage(input_tokens=1_000_000, output_tokens=1_000_000, usd=sent)
    assert bill.at(Price((Tier(0, 1, 1, 3),))).usd == usd


def test_what_lost_attempts_cost_reaches_the_kernel_whole() -> None:
    lost = LostAttempts(lost_attempts=2, bills=[BilledUsage(input_tokens=7, output_tokens=3, cached_tokens=1)])
    assert lost.lost() == Lost(2, (Usage(7, 3, 1),))


def test_words_of_another_person_are_shown_under_that_name_and_those_of_the_requester_as_they_are() -> None:
    assert Heard(by="ann", text="hi", requester=True).shown == "hi"
    assert Heard(by="bob", text="hi", requester=False).shown == "bob, who did not ask for this run, says:\nhi"
