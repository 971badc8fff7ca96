"""What a run says while its model does not answer: words of ours, and of a sender's only figures."""

from typing import get_args

import pytest

from backstay.contracts.messages import read_message
from backstay.contracts.trouble import Kind, ModelTrouble, is_told

FACTS = {"step": 3, "attempt": 4, "kind": "overloaded", "gives_up_at": 1_777_640_460}


def test_it_says_the_attempt_the_reason_and_how_long_it_is_tried() -> None:
    assert ModelTrouble.model_validate(FACTS).words == (
        "model unreachable: its server is overloaded; attempt 4 failed, it is tried again until 2026-05-01 13:01:00 UTC"
    )


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_has_words(kind: str) -> None:
    assert ModelTrouble.model_validate({**FACTS, "kind": kind}).words.startswith("model unreachable: ")


@pytest.mark.parametrize("more", [{"kind": "approve me"}, {"gives_up_at": 10**15}, {"attempt": "4"}, {"text": "hi"}])
def test_a_sender_puts_in_no_words_of_its_own(more: dict[str, object]) -> None:
    assert isinstance(read_message(ModelTrouble, ({**FACTS, **more},)), list)


def test_a_run_hears_of_ever_fewer_attempts() -> None:
    assert [attempt for attempt in range(40) if is_told(attempt)] == [2, 4, 8, 16, 32]


def test_a_rate_that_was_refused_says_where_to_look_for_it() -> None:
    throttled = {**FACTS, "kind": "rate_limited", "account": "main"}
    said = "model unreachable: it takes no more requests now, by the rate of account main (`backstay quota show`); "
    assert ModelTrouble.model_validate(throttled).words.startswith(said)
    assert "account" not in ModelTrouble.model_validate({**FACTS, "account": "main"}).words
    assert isinstance(read_message(ModelTrouble, ({**throttled, "account": "look here"},)), list)
