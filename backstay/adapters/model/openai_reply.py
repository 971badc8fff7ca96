"""Reads replies of either OpenAI API strictly: an unexpected reply is a `ModelError`, never a guess."""

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from pydantic import BaseModel, Field, ValidationError

from backstay.contracts.admission import Api
from backstay.contracts.conversation import ModelReply
from backstay.contracts.decision import Decision, Finish, ProposedCall
from backstay.contracts.problems import problems_of, summary
from backstay.errors import ModelError

from .openai_errors import fields_of, provider_message, reported_error
from .openai_usage import CHAT, RESPONSES, read_usage

_MAX_NAME = 200
_MAX_ARGUMENTS = 300_000
_MAX_CALLS = 500
_MAX_DEPTH = 64
_MAX_DIGITS = 1_000
_CUT = ("length", "max_tokens", "model_length")

Shape = TypeVar("Shape", bound=BaseModel)


class _Function(BaseModel):
    name: str
    arguments: Any = ""


class _ToolCall(BaseModel):
    function: _Function


class _Message(BaseModel):
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Chat(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: Any = None
    model: Any = None


class _OutputMessage(BaseModel):
    content: str | list[dict[str, Any]] | None = None


class _Response(BaseModel):
    output: list[dict[str, Any]]
    status: str | None = None
    incomplete_details: dict[str, Any] | None = None
    usage: Any = None
    model: Any = None


def read_reply(api: Api, body: bytes, call_id: Callable[[int], str]) -> ModelReply:
    """Reads the reply in the body of an HTTP 200.

    Args:
        api: the API that replied.
        body: the body as received.
        call_id: gives the id of the i-th call, counted from 0; the model's own ids are ignored.

    Returns:
        The reply, safe to store: text that UTF-8 can hold, names cut at 200 characters, arguments at 300,000, and the
        calls after the 500th dropped.

    Raises:
        ModelError: the body cannot be read, or holds a failure that the provider reports.
    """
    try:
        value = _plain(json.loads(body.decode("utf-8-sig"), parse_int=_integer, parse_constant=_nothing))
    except (ValueError, RecursionError):
        raise unreadable(f"the body is not JSON ({len(body)} bytes)") from None
    return _chat(value, call_id) if api == "chat" else _response(value, call_id)


def unreadable(message: str) -> ModelError:
    """Returns the error for a reply that arrived, and may have been billed, but cannot be used."""
    return ModelError("unreadable", message, retryable=True, billed=True)


def _chat(value: object, call_id: Callable[[int], str]) -> ModelReply:
    failure = reported_error(value)
    if failure is not None and not fields_of(value).get("choices"):
        raise failure
    reply = _shaped(_Chat, value)
    choice = reply.choices[0]
    if choice.finish_reason == "error" and failure is None:
        raise ModelError("lost", "the provider gave up on the reply", retryable=True, billed=True)
    message = choice.message
    decision = Decision(
        text=_text([_joined(message.content), message.refusal or ""]),
        calls=_calls([call.function for call in message.tool_calls or []], call_id),
        finish=_finish(choice.finish_reason),
    )
    if failure is not None and not decision.text and not decision.calls:
        raise failure
    return ModelReply(decision, read_usage(reply.usage, CHAT, decision), _model(reply.model))


def _response(value: object, call_id: Callable[[int], str]) -> ModelReply:
    if failure := reported_error(value):
        raise failure
    if error := fields_of(value).get("error"):
        raise _failed(error)
    reply = _shaped(_Response, value)
    if reply.status not in (None, "completed", "incomplete"):
        raise _failed({"message": f"the response is {reply.status[:_MAX_NAME]}"})
    messages = [_shaped(_OutputMessage, item) for item in _of_type("message", reply.output)]
    functions = [_shaped(_Function, item) for item in _of_type("function_call", reply.output)]
    finish: Finish = "stop"
    if reply.status == "incomplete":
        finish = "filtered" if (reply.incomplete_details or {}).get("reason") == "content_filter" else "length"
    decision = Decision(
        text=_text(_joined(message.content) for message in messages),
        calls=_calls(functions, call_id),
        finish=finish,
        reasoning=_of_type("reasoning", reply.output),
    )
    return ModelReply(decision, read_usage(reply.usage, RESPONSES, decision), _model(reply.model))


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
    parts = (part.get("text") or part.get("refusal") for part in content)
    return "".join(part for part in parts if isinstance(part, str))


def _text(texts: Iterable[str]) -> str | None:
    return "\n\n".join(text for text in texts if text.strip()) or None


def _calls(functions: list[_Function], call_id: Callable[[int], str]) -> list[ProposedCall]:
    return [
        ProposedCall(
            call_id=call_id(index),
            tool=function.name[:_MAX_NAME],
            arguments=_written(function.arguments)[:_MAX_ARGUMENTS],
        )
        for index, function in enumerate(functions[:_MAX_CALLS])
    ]


def _written(arguments: object) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _finish(reason: str | None) -> Finish:
    if reason == "content_filter":
        return "filtered"
    return "length" if reason in _CUT else "stop"


def _model(name: object) -> str | None:
    return name[:_MAX_NAME] if isinstance(name, str) and name else None


def _integer(digits: str) -> int | None:
    """Reads an integer; one with over 1,000 digits reads as null, so that an absurd bill does not lose the reply."""
    return int(digits) if len(digits) <= _MAX_DIGITS else None


def _nothing(_: str) -> None:
    """Reads NaN and infinity as null: they are not JSON, but servers that divide by zero send them."""


def _plain(value: object, depth: int = 0) -> object:
    """Replaces characters that UTF-8 cannot hold, at every depth.

    Raises:
        ValueError: the value nests too deep to be stored.
    """
    if depth > _MAX_DEPTH:
        raise ValueError("nests too deep")
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_plain(entry, depth + 1) for entry in cast("list[object]", value)]
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        return {cast("str", _plain(key)): _plain(entry, depth + 1) for key, entry in entries.items()}
    return value
