"""Reads replies of either OpenAI API strictly: an unexpected reply is a `ModelError`, never a guess."""

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from backstay.contracts.admission import Api
from backstay.contracts.conversation import ModelReply
from backstay.contracts.decision import Decision, Finish, Part, ProposedCall
from backstay.contracts.problems import problems_of, summary
from backstay.errors import ModelError

from .body import read_body
from .finish import ending
from .openai_calls import WrittenCall, written_calls
from .openai_errors import billed_by, error_in, reported_error
from .openai_items import USUAL_ORDER
from .openai_usage import CHAT, RESPONSES, bill_of_error, read_usage
from .reported import bad_call, fields_of, is_bad_finish, model_in, provider_message
from .returned import OUTPUT_CALL, OUTPUT_MESSAGE, beyond, bounded, call_extra, message_extra, usable_id
from .thinking import without_thoughts

_MAX_NAME = 200

Shape = TypeVar("Shape", bound=BaseModel)


class _Message(BaseModel):
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None
    tool_calls: Any = None
    function_call: Any = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    native_finish_reason: Any = None


class _Chat(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: Any = None


class _OutputMessage(BaseModel):
    content: str | list[dict[str, Any]] | None = None


class _Response(BaseModel):
    output: list[Any]
    status: str | None = None
    incomplete_details: dict[str, Any] | None = None
    usage: Any = None


def read_reply(api: Api, body: bytes, call_id: Callable[[int], str]) -> ModelReply:
    """Reads the reply in the body of an HTTP 200.

    Args:
        api: the API that replied.
        body: the body as received.
        call_id: gives the id of the i-th call, counted from 0; the server's own ids are kept beside them.

    Returns:
        The reply, safe to store: text that UTF-8 can hold, without thoughts, names cut at 200 characters, arguments at
        300,000, and the calls after the 500th dropped. Fields that nobody here reads are kept, unless together they are
        too long.

    Raises:
        ModelError: the body cannot be read, or holds a failure that the provider reports.
    """
    try:
        value = read_body(body)
    except (ValueError, RecursionError):
        raise unreadable(f"the body is not JSON ({len(body)} bytes)") from None
    if reply := read_bad_call(error_in(value), value):
        return reply
    try:
        return _chat(value, call_id) if api == "chat" else _response(value, call_id)
    except ModelError as failure:
        raise billed_by(failure, value) from None


def read_bad_call(error: object, body: object) -> ModelReply | None:
    """Returns the reply that an error stands for, where it says that the model wrote a bad call; else None.

    Args:
        error: the error.
        body: the whole body, which may have the bill.
    """
    said = bad_call(error) if error else None
    if said is None:
        return None
    problem = f"your tool call could not be read, and nothing was executed ({said})"
    return ModelReply(Decision(problem=problem), bill_of_error(body), model_in(body))


def unreadable(message: str) -> ModelError:
    """Returns the error for a reply that arrived, and may have been billed, but cannot be used."""
    return ModelError("unreadable", message, retryable=True, billed=True)


def _chat(value: object, call_id: Callable[[int], str]) -> ModelReply:
    error = error_in(value)
    failure = reported_error(value) or (_lost(provider_message(error)) if error else None)
    if failure is not None and not fields_of(value).get("choices"):
        raise failure
    reply = _shaped(_Chat, value)
    choice = reply.choices[0]
    message = choice.message
    written = written_calls(message.tool_calls or message.function_call)
    raw = fields_of(fields_of(fields_of(value)["choices"][0])["message"])
    finish = ending(choice.finish_reason, choice.native_finish_reason)
    decision = bounded(
        Decision(
            text=_text([_spoken(message.content), message.refusal or ""]),
            calls=_calls(written, call_id),
            finish=finish or "stop",
            parts=_chat_parts(written),
            extra=message_extra(raw),
            problem=_bad_finish(choice.finish_reason, choice.native_finish_reason),
        )
    )
    # Only a text that is said to be whole is a reply in spite of an error.
    spoken = bool(decision.text) and choice.finish_reason is not None and finish is not None and not decision.calls
    if decision.problem is None and failure is not None and not spoken:
        thought = any(value for name, value in decision.extra.items() if name != "error")
        raise failure.that_billed() if decision.text or decision.calls or thought else failure
    if decision.problem is None and finish is None:
        raise _lost(f"it ended with `{choice.finish_reason}`")
    return ModelReply(decision, read_usage(reply.usage, CHAT, decision), model_in(value))


def _response(value: object, call_id: Callable[[int], str]) -> ModelReply:
    if error := error_in(value):
        accepted = fields_of(value).get("status") == "failed"
        raise (None if accepted else reported_error(value)) or _failed(error)
    reply = _shaped(_Response, value)
    reason = (reply.incomplete_details or {}).get("reason")
    if reply.status not in (None, "completed", "incomplete"):
        raise _failed({"message": f"the response is {reply.status[:_MAX_NAME]}"})
    output = _items(reply.output)
    texts = [_spoken(_shaped(_OutputMessage, item).content) for item in _of_type("message", output)]
    decision = bounded(
        Decision(
            text=_text(texts),
            calls=_calls(written_calls(_of_type("function_call", output)), call_id),
            finish=_response_ending(reply, reason, output),
            reasoning=_of_type("reasoning", output),
            parts=_output_parts(output, texts),
            problem=_bad_finish(reason),
        )
    )
    return ModelReply(decision, read_usage(reply.usage, RESPONSES, decision), model_in(value))


def _items(output: list[Any]) -> list[dict[str, Any]]:
    """Returns the items of a response; what is none loses no good one beside it."""
    items = [fields for item in output if (fields := fields_of(item))]
    if not items and any(item is not None for item in output):
        raise unreadable("the body does not have the shape of a reply: `output` holds no item")
    return items


def _response_ending(reply: _Response, reason: object, output: list[dict[str, Any]]) -> Finish:
    """Returns how a response ended; one item that did not come to its end cuts it all."""
    if ending(None, reason) == "filtered":
        return "filtered"
    spoken = [*_of_type("message", output), *_of_type("function_call", output)]
    whole = all(item.get("status") in (None, "completed") for item in spoken)
    return "stop" if whole and reply.status != "incomplete" and reason is None else "length"


def _lost(said: str) -> ModelError:
    """Returns the error for a reply that broke off without a status to tell why, so that it may have been billed."""
    message = f"the provider gave up on the reply{f': {said}' if said else ''}"
    return ModelError("lost", message, retryable=True, billed=True)


def _failed(error: object) -> ModelError:
    """Returns the error for a response that failed after it was accepted, so that it may have been billed."""
    code = str(fields_of(error).get("code") or "")
    message = ": ".join(part for part in (code, provider_message(error)) if part) or "the response failed"
    if code.startswith("invalid_"):
        return ModelError("refused", message, retryable=False, billed=True)
    kind = {"rate_limit_exceeded": "rate_limited", "server_error": "overloaded"}.get(code, "lost")
    return ModelError(kind, message, retryable=True, billed=True)


def _shaped(shape: type[Shape], value: object) -> Shape:
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        problems = summary(problems_of(error))
    said = provider_message(value)
    raise unreadable(f"the body does not have the shape of a reply: {f'{said} ({problems})' if said else problems}")


def _of_type(kind: str, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in output if item.get("type") == kind]


def _joined(content: str | list[dict[str, Any]] | None) -> str:
    """Joins the text parts of a message; a refusal counts as text."""
    if content is None or isinstance(content, str):
        return content or ""
    spoken = (part for part in content if not re.search("think|reason", str(part.get("type")), re.IGNORECASE))
    parts = (part.get("text") or part.get("refusal") for part in spoken)
    return "".join(part for part in parts if isinstance(part, str))


def _spoken(content: str | list[dict[str, Any]] | None) -> str:
    return without_thoughts(_joined(content))


def _text(texts: Iterable[str]) -> str | None:
    return "\n\n".join(text for text in texts if text.strip()) or None


def _calls(written: list[WrittenCall], call_id: Callable[[int], str]) -> list[ProposedCall]:
    return [
        ProposedCall(
            call_id=call_id(index),
            tool=call.name,
            arguments=call.arguments,
            wire_id=usable_id(call.id),
            problem=call.problem,
        )
        for index, call in enumerate(written)
    ]


def _chat_parts(written: list[WrittenCall]) -> list[Part]:
    """Returns a part for each call of a message, or none where no call carries more than is known."""
    parts = [Part(kind="call", extra=call_extra(call.raw)) for call in written]
    return parts if any(part.extra for part in parts) else []


def _output_parts(output: list[dict[str, Any]], texts: list[str]) -> list[Part]:
    """Returns the parts of a reply in its order, or none where that is the usual one and no part carries more.

    Args:
        output: the items of the reply.
        texts: the texts of its messages.
    """
    parts: list[Part] = []
    pieces = iter(texts)
    for item in output:
        if item.get("type") == "reasoning":
            parts.append(Part(kind="reasoning"))
        elif item.get("type") == "function_call":
            parts.append(Part(kind="call", extra=beyond(item, OUTPUT_CALL)))
        elif item.get("type") == "message" and (piece := next(pieces)).strip():
            parts.append(Part(kind="text", length=len(piece), extra=beyond(item, OUTPUT_MESSAGE)))
    kinds = [part.kind for part in parts]
    plain = kinds == sorted(kinds, key=USUAL_ORDER.index) and kinds.count("text") < 2
    return [] if plain and not any(part.extra for part in parts) else parts


def _bad_finish(*reasons: object) -> str | None:
    """Returns the problem of a reply that ended with a bad call."""
    found = next((reason for reason in reasons if is_bad_finish(reason)), None)
    return None if found is None else f"your tool call could not be read, and nothing was executed ({found})"
