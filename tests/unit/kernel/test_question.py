"""The words that answer a question of the model, and what it reads of them."""

import json

import pytest

from backstay.kernel.question import answered, choices_of, unanswered, unfit


@pytest.mark.parametrize("answer", ["yes", "Grüße\n\tand more", "<b>", "x" * 2_000])
def test_any_words_answer_an_open_question(answer: str) -> None:
    assert unfit(answer, []) is None


@pytest.mark.parametrize("answer", ["", " \n", "a\0", "a\u202eb", "a\x1b[0m", "a\u200b", "a\u2028b", "\ud800", "a\rb"])
def test_no_words_and_signs_that_steer_or_hide_answer_nothing(answer: str) -> None:
    assert unfit(answer, []) is not None


def test_a_choice_is_answered_by_one_of_its_words() -> None:
    assert unfit("red", ["red", "blue"]) is None
    for answer in ("Red", "red ", "green", ""):
        assert unfit(answer, ["red", "blu\u202ee"]) == "the answer is one of `red`, `blu\\u202ee`"


@pytest.mark.parametrize(
    ("arguments", "choices"), [({}, []), ({"choices": None}, []), ({"choices": ["a", 7, "b"]}, ["a", "b"])]
)
def test_choices_are_read_from_the_arguments(arguments: dict[str, object], choices: list[str]) -> None:
    assert choices_of(arguments) == choices


def test_the_model_reads_the_answer_and_who_gave_it_or_that_nobody_did() -> None:
    assert json.loads(answered("yes", "ann", None)) == {"answer": "yes", "by": "ann"}
    assert json.loads(answered("yes", "ann", "soon")) == {"answer": "yes", "by": "ann", "comment": "soon"}
    assert json.loads(unanswered()) == {"answer": None, "why": "nobody answered in time"}
