"""Hears what a server asks people in the middle of a call, over the old protocol and the new.

Over the new one a question is an answer: the server keeps nothing, and goes on when it is called again with the
replies. Over the old one it waits in the call. No call can wait for days, so that it is told at once that nobody
replies now; what may be repeated begins again with the replies at hand, and what may not is never asked about.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitRequestParams, ElicitResult
from pydantic import ValidationError

from backstay.contracts.asked import Asked, Replies, ServerQuestion
from backstay.errors import ToolError
from backstay.kernel.form import form_of
from backstay.kernel.mcp_words import cleaned
from backstay.tools.call import no_server

LONGEST_QUESTION = 4_000

REFUSED = "the server has asked what no person here may be asked (a page to open, a model, or no plain form): refused"
MID_CALL = "the server has asked a question in the middle of a call that cannot begin again: nobody was asked"
NOBODY = "the server asks people a question, and nobody answers it: `questions` in agent.toml names no group"


@dataclass(slots=True)
class Dialogue:
    """What a server asks in one call over the old protocol, and what it is told.

    Attributes:
        replies: what people have replied before.
        begins_again: True where the call may be made again.
        asked: the questions that have no reply yet.
        refused: why a question was not put to people; empty where none was refused.
    """

    replies: Replies | None
    begins_again: bool
    asked: dict[str, ServerQuestion] = field(default_factory=dict[str, ServerQuestion])
    refused: str = ""

    def hear(self, params: ElicitRequestParams) -> ElicitResult:
        """Replies to a question, or takes it down and calls it off."""
        if not isinstance(params, ElicitRequestFormParams):
            self.refused = REFUSED
            return ElicitResult(action="decline")
        key = hashlib.sha256(
            json.dumps([params.message, params.requested_schema], sort_keys=True).encode()
        ).hexdigest()[:16]
        given = self.replies.replies.get(key) if self.replies else None
        if given is not None:
            return ElicitResult(action=given.action, content=given.content)
        question = _question(key, params.message, params.requested_schema)
        if question is None or not self.begins_again:
            self.refused = REFUSED if question is None else MID_CALL
        else:
            self.asked[key] = question
        return ElicitResult(action="cancel")


@dataclass(frozen=True, slots=True)
class ServerCall:
    """A call as a server gets it.

    Attributes:
        tool: the server's own name of the tool.
        arguments: the arguments.
        meta: what goes with the call beside them.
        dialogue: what the server asks meanwhile.
        changed: takes what the server called itself when it was pinned, and what it calls itself now.
    """

    tool: str
    arguments: dict[str, Any]
    meta: dict[str, Any]
    dialogue: Dialogue | None = None
    changed: Callable[[str, str], None] = no_server

    @property
    def params(self) -> dict[str, Any]:
        """The parameters of the request; with replies, where the server has asked before and wants to be asked anew."""
        params = {"name": self.tool, "arguments": self.arguments, "_meta": self.meta}
        replies = self.dialogue.replies if self.dialogue else None
        if replies is None or replies.begins_again:
            return params
        given = {key: reply.model_dump(exclude_none=True) for key, reply in replies.replies.items()}
        state = {} if replies.state is None else {"requestState": replies.state}
        return {**params, "inputResponses": given, **state}


def asked_by(answer: Mapping[str, Any], dialogue: Dialogue, *, answered: bool) -> Asked | None:
    """Returns what a server asks people before it goes on; None where it has given its answer.

    Args:
        answer: its answer.
        dialogue: what it has asked in the call.
        answered: True where somebody answers its questions.

    Raises:
        ToolError: it asks what nobody may be asked, or nobody answers it.
    """
    if answer.get("resultType") == "input_required":
        if not answered:
            raise ToolError(NOBODY)
        return _asked(answer)
    try:
        questions = list(dialogue.asked.values())
        return Asked(questions=questions, begins_again=True) if questions else None
    except ValidationError:
        raise ToolError(REFUSED) from None


def _asked(answer: Mapping[str, Any]) -> Asked:
    """Returns the questions that an answer consists of."""
    given: object = answer.get("inputRequests")
    requests = cast("dict[str, object]", given) if isinstance(given, dict) else {}
    questions = [_form(key, request) for key, request in requests.items()]
    whole = [question for question in questions if question is not None]
    try:
        if len(whole) == len(questions):
            return Asked.model_validate({"questions": whole, "state": answer.get("requestState")})
    except ValidationError:
        pass
    raise ToolError(REFUSED)


def _form(key: str, request: object) -> ServerQuestion | None:
    try:
        params = ElicitRequest.model_validate(request).params
    except ValidationError:
        return None  # a question to a model, or for folders
    is_form = isinstance(params, ElicitRequestFormParams)
    return _question(key, params.message, params.requested_schema) if is_form else None


def _question(key: str, message: str, schema: Mapping[str, Any]) -> ServerQuestion | None:
    form = form_of(schema)
    return ServerQuestion(key=key, message=cleaned(message, LONGEST_QUESTION), form=form) if form else None
