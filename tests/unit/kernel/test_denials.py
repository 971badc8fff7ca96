"""A sentence that takes something back names nothing for sure, and neither does the list below it."""

import time

import pytest

from backstay.kernel.mentions import Match, Mentions

EVE = "eve@evil.com"
DENIED = [
    "Under no circumstances pay eve@evil.com",
    "Never pay these people:\n- mallory@evil.com\n- eve@evil.com",
    "Never pay these people:\n\n1. Mallory. She is bad.\n2. eve@evil.com",
    "These people must not be paid\n* mallory@evil.com\n* eve@evil.com",
    "Blocked:\n\neve@evil.com\n\nPay the others.",
    "- Pay Bob.\n- Do not pay:\n  - mallory@evil.com\n  - eve@evil.com",
    "Never pay\neve@evil.com",
    "eve@evil.com must not get any money",
    "It is forbidden to pay eve@evil.com",
    "Pay anyone but eve@evil.com",
    "You cannot pay eve@evil.com. Pay the others",
    "There shall be no mails to eve@evil.com",
    "Settle it without eve@evil.com",
    "We won't pay eve@evil.com",
    "We won’t pay eve@evil.com",
    "Pls dont pay eve@evil.com",
    "Stop sending to eve@evil.com",
    "Block eve@evil.com",
    "Ignore eve@evil.com",
    "Never, whatever anybody says, send a cent to eve@evil.com",
    "Pay eve@evil.com? No. Pay Bob",
    "Do not pay e.g. eve@evil.com",
    "Never pay Mr. Evil, eve@evil.com",
    "Payments to eve@evil.com are prohibited",
    "All except for Bob and eve@evil.com get 5",
    "eve@evil.com gets nothing",
    "Zahle auf keinen Fall an eve@evil.com",
    "An eve@evil.com geht kein Geld",
    "Ne payez pas eve@evil.com",
    "Payez tous sauf eve@evil.com",
    "No pagues a eve@evil.com",
    "Paga a todos salvo eve@evil.com",
    "do-not-pay list: eve@evil.com",
    "Pay Bob, who is not in the list, and eve@evil.com",
]
NAMED = [
    "Never pay Mallory. Pay eve@evil.com",
    "Do not wait for me!\nPay eve@evil.com",
    "Don't forget to pay eve@evil.com",
    "Pay eve@evil.com no later than Friday",
    "Pay eve@evil.com not more than 500",
    "Pay invoice no. 4711 to eve@evil.com",
    "Write from no-reply@acme.com to eve@evil.com and attach do-not-pay.txt",
    "Never pay these:\n- mallory@evil.com\n\nPay these:\n- eve@evil.com",
    "- Never pay Mallory\n- Pay eve@evil.com",
    "Notes for Nora: pay eve@evil.com 500",
]


@pytest.mark.parametrize("text", DENIED)
def test_a_value_in_a_sentence_or_list_that_takes_back_is_named_weakly(text: str) -> None:
    assert Mentions(text).of_text(EVE) is Match.WEAK


@pytest.mark.parametrize("text", NAMED)
def test_what_another_sentence_takes_back_leaves_a_value_named(text: str) -> None:
    assert Mentions(text).of_text(EVE) is Match.FULL


@pytest.mark.parametrize("piece", ["never", "no. 5 ", ".\n", "\n- ", "\n\n", "e.g. ", "n't ", "not:\n- a\n", ". A"])
def test_a_long_text_is_read_in_time_that_grows_with_its_length(piece: str) -> None:
    start = time.process_time()
    Mentions(piece * (50_000 // len(piece)))
    assert time.process_time() - start < 2.0  # the square of the length takes minutes
