"""One decision: it crosses the wire whole, and its digest tells it from every other."""

import pytest

from backstay.contracts.decision import (
    BilledUsage,
    DecideFailure,
    DecideInput,
    DecideResult,
    Decision,
    Observation,
    ProposedCall,
    short_digest,
)
from backstay.contracts.problems import Contract

from .conftest import arrived

CALL = ProposedCall(call_id="1-0", tool="pay", arguments='{"amount": 5}')
SENT: list[Contract] = [
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
    DecideFailure(lost_attempts=2),
]


@pytest.mark.parametrize("sent", SENT, ids=lambda sent: type(sent).__name__)
def test_a_decision_arrives_as_it_was_sent(sent: Contract) -> None:
    assert arrived(sent) == sent


def test_the_digest_of_a_decision_tells_any_two_apart() -> None:
    decisions = [
        Decision(),
        Decision(text=""),
        Decision(text="5"),
        Decision(calls=[CALL]),
        Decision(finish="length"),
        Decision(reasoning=[{"id": "rs_1"}]),
    ]
    assert len({decision.digest(1) for decision in decisions}) == len(decisions)
    assert Decision(text="5").digest(1) == Decision.model_validate_json('{"text": "5"}').digest(1)
    assert Decision().digest(1) != Decision().digest(2)


def test_a_short_digest_is_made_of_any_text() -> None:
    assert short_digest("") == "e3b0c44298fc1c14"
    assert short_digest("\ud800") != short_digest("\ud801")


def test_a_call_says_the_same_however_its_arguments_are_spelled() -> None:
    calls = [
        ProposedCall(call_id="1-0", tool="pay", arguments=text) for text in ('{"a":1,"b":2}', '{ "b": 2, "a": 1 }', "{")
    ]
    assert calls[0].content == calls[1].content == 'pay\n{"a":1,"b":2}'
    assert calls[2].content == "pay\n{"


def test_an_edited_call_is_read_anew() -> None:
    call = ProposedCall(call_id="1-0", tool="pay", arguments='{"amount": 5}')
    assert call.parsed == {"amount": 5}
    edited = call.edited({"amount": 7})
    assert (edited.call_id, edited.tool, edited.parsed) == ("1-0", "pay", {"amount": 7})
