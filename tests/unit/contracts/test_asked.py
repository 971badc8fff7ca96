"""Questions of servers cross the boundary whole, and within limits."""

import pytest
from pydantic import ValidationError

from backstay.contracts.asked import MOST_QUESTIONS, MOST_STATE, Asked, Replies, Reply, ServerQuestion
from backstay.kernel.form import FieldKind, Form, FormField

QUESTION = ServerQuestion(key="q", message="sure?", form=Form((FormField("n", FieldKind.WHOLE, True, ()),)))


def test_questions_and_replies_survive_the_way_through_json() -> None:
    asked = Asked(questions=[QUESTION], state="s", begins_again=True)
    assert Asked.model_validate_json(asked.model_dump_json()) == asked
    replies = Replies(replies={"q": Reply(action="accept", content={"n": 5})}, state="s")
    assert Replies.model_validate_json(replies.model_dump_json()) == replies


def test_a_server_asks_something_and_not_too_much() -> None:
    for questions, state in (
        ([], None),
        ([QUESTION] * (MOST_QUESTIONS + 1), None),
        ([QUESTION], "x" * (MOST_STATE + 1)),
    ):
        with pytest.raises(ValidationError):
            Asked(questions=questions, state=state)
