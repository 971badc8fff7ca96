"""Questions that the server of a tool asks people in the middle of a call, and what people reply."""

from typing import Annotated, Any, Literal

from pydantic import Field

from backstay.kernel.form import Form

from .problems import Contract

MOST_QUESTIONS = 5
"""Of one answer of a server."""
MOST_STATE = 16_000
"""The most that a server may have kept for it between a question and the reply, in characters."""


class ServerQuestion(Contract):
    """One question: `key` is what its reply is told apart by, `message` the server's words, cleaned."""

    key: str
    message: str
    form: Form


class Asked(Contract):
    """The questions that ended a call.

    `state` is what the server wants to be given back with the replies. `begins_again` where it keeps nothing: the call
    begins anew, and the replies are given when it asks the same again.
    """

    questions: Annotated[list[ServerQuestion], Field(min_length=1, max_length=MOST_QUESTIONS)]
    state: Annotated[str, Field(max_length=MOST_STATE)] | None = None
    begins_again: bool = False


class Reply(Contract):
    """What a person replied; `content` fills in the form, where it was accepted."""

    action: Literal["accept", "decline"]
    content: dict[str, Any] | None = None


class Replies(Contract):
    """The replies to a server, by the keys of its questions; `state` and `begins_again` are those of `Asked`."""

    replies: dict[str, Reply]
    state: str | None = None
    begins_again: bool = False
