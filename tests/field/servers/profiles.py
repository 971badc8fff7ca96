"""The model servers, each with the oddities that public reports and sources show; none of them was contacted."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from . import rules
from .rules import CHAT, RESPONSES, Problem, Rule

Said = tuple[int, Any]
Usage = Literal["inside", "beside", "total"]

ASSISTANT = {"role", "content", "tool_calls", "name"}
TOOL = {"role", "content", "tool_call_id"}


def _nothing(*_: object) -> dict[str, Any]:
    return {}


def _no_reasoning(*_: object) -> list[dict[str, Any]]:
    return []


def _text(id: str, _: bool) -> list[dict[str, Any]]:
    """Reasoning in plain text, with the nulls of a server that fills in every field."""
    content = [{"type": "reasoning_text", "text": f"thinking {id}"}]
    item = {"type": "reasoning", "id": id, "summary": [], "content": content}
    return [{**item, "encrypted_content": None, "status": None}]


def _encrypted(id: str, asked: bool) -> list[dict[str, Any]]:
    """Reasoning that only the server reads, and only where it was asked for."""
    item = {"type": "reasoning", "id": id, "summary": [], "status": None}
    return [{**item, "encrypted_content": f"gAAA{id}" if asked else None}]


@dataclass(frozen=True)
class Profile:
    """One server: how it names calls, what it sends beside them, what it refuses and in which words."""

    name: str
    model: str
    id: Callable[[int, int], str]
    words: Callable[[Problem], Said]
    chat: tuple[Rule, ...]
    responses: tuple[Rule, ...] = ()
    message_extra: Callable[[int], dict[str, Any]] = _nothing
    call_extra: Callable[[int, int], dict[str, Any]] = _nothing
    reasoning: Callable[[str, bool], list[dict[str, Any]]] = _no_reasoning
    usage: Usage = "inside"


def _openai_words(problem: Problem) -> Said:
    param = problem.at[0] if len(problem.at) == 1 else None
    error = {"message": problem.words, "type": "invalid_request_error", "param": param, "code": None}
    return 400, {"error": error}


def _mistral_words(problem: Problem) -> Said:
    if problem.at:
        entry = {"type": "extra_forbidden", "loc": ["body", *problem.at], "msg": problem.words, "input": "max_tokens"}
        return 422, {"object": "error", "message": {"detail": [entry]}, "type": "invalid_request_error", "param": None}
    return 400, {"object": "error", "message": problem.words, "type": "invalid_request_message_order", "code": "3230"}


def _gemini_words(problem: Problem) -> Said:
    return 400, [{"error": {"code": 400, "message": problem.words, "status": "INVALID_ARGUMENT"}}]


def _openrouter_words(problem: Problem) -> Said:
    if problem.at:
        raw = json.dumps([{"code": "invalid_union", "path": list(problem.at), "message": problem.words}])
        error = {"code": "invalid_prompt", "message": "Invalid Responses API request"}
        return 400, {"error": error, "metadata": {"raw": raw}}
    metadata = {"raw": json.dumps({"message": problem.words}), "provider_name": "Amazon Bedrock"}
    return 400, {"error": {"message": "Provider returned error", "code": 400, "metadata": metadata}}


def _xai_words(problem: Problem) -> Said:
    return 400, {"code": "Client specified an invalid argument", "error": problem.words}


def _vllm_words(problem: Problem) -> Said:
    return 400, {"object": "error", "message": problem.words, "type": "BadRequestError", "param": None, "code": 400}


def _llama_words(problem: Problem) -> Said:
    # An error in the template of the chat is one of the server.
    status = 500 if "alternate" in problem.words else 400
    return status, {"error": {"code": status, "message": problem.words, "type": "invalid_request_error"}}


def _order(id: Callable[[int, int], str], reasoning: bool) -> Rule:
    """The items of the three replies, each in its place."""
    calls = [id(0, 0), id(0, 1), id(1, 0)]
    thought = [[f"reasoning:rs_{at}"] if reasoning else [] for at in ("00", "01", "10")]
    made = [f"function_call:{call}" for call in calls]
    read = [f"function_call_output:{call}" for call in calls]
    return rules.items(*thought[0], made[0], *thought[1], made[1], *read[:2], *thought[2], "message", made[2], read[2])


def _a_string(value: object) -> bool:
    return isinstance(value, str)


def _there(value: object) -> bool:
    return value != "absent"


def _no_empty_text(value: object) -> bool:
    return value != ""


def _call(turn: int, at: int) -> str:
    return f"call_{turn}{at}AbCdEfGhIjKlMnOpQrStUv"


def _details(turn: int) -> list[dict[str, Any]]:
    return [{"type": "reasoning.encrypted", "data": f"D{turn}", "id": None, "format": "x-v1", "index": 0}]


_ROLES = "After the optional system message, conversation roles must alternate user/assistant/user/assistant/..."
_UNSUPPORTED = "Unsupported parameter: '{}' is not supported with this model."
_TOO_LONG = "Invalid 'messages[2].tool_calls[0].id': string too long. Expected a string with maximum length 40: {}"
_GROQ = (
    "'messages.{at}' : for 'role:assistant' the following must be satisfied"
    "[('messages.{at}' : property '{}' is unsupported)]"
)
_OPENAI_CHAT = (
    rules.only(CHAT - {"max_tokens"}, _UNSUPPORTED),
    rules.only_in("assistant", ASSISTANT | {"refusal"}, "Additional properties are not allowed ('{}' was unexpected)"),
    rules.only_in("tool", TOOL, "Additional properties are not allowed ('{}' was unexpected)"),
    rules.content(_there, "Missing required parameter: 'messages[{at}].content'."),
    rules.ids(".{1,40}", _TOO_LONG),
)
_STRICT_ITEMS = (rules.no_nulls, rules.plain_reasoning)


def _kimi(turn: int, at: int) -> str:
    return f"functions.lookup:{turn * 2 + at}"


def _mistral(turn: int, at: int) -> str:
    return f"D681Pev{turn}{at}"


def _gemini(turn: int, at: int) -> str:
    return f"function-call-1234567890{turn}{at}"


def _vllm(turn: int, at: int) -> str:
    return f"chatcmpl-tool-{turn}{at}" + "0a" * 15


def _llama(turn: int, at: int) -> str:
    return f"{turn}{at}" + "QwErTyUiOpAsDfGhJkLzXcVbNm1234"


_ALL = (
    Profile(
        "openai",
        "gpt-5-mini",
        _call,
        _openai_words,
        _OPENAI_CHAT,
        (rules.only(RESPONSES, "Unknown parameter: '{}'."), *_STRICT_ITEMS, _order(_call, True)),
        reasoning=_encrypted,
    ),
    Profile(
        "azure",
        "prod-chat",
        _call,
        _openai_words,
        (rules.only(CHAT - {"max_tokens"}, "Unrecognized request argument supplied: {}"), *_OPENAI_CHAT[1:]),
        (
            rules.only(RESPONSES - {"include"}, "Encrypted content is not supported with this model: {}."),
            *_STRICT_ITEMS,
            _order(_call, False),
        ),
    ),
    Profile(
        "mistral",
        "mistral-large-latest",
        _mistral,
        _mistral_words,
        (
            rules.only(CHAT - {"max_completion_tokens"}, "Extra inputs are not permitted"),
            rules.only_in("assistant", ASSISTANT | {"prefix"}, "Extra inputs are not permitted"),
            rules.ids("[a-zA-Z0-9]{9}", "Tool call id was {} but must be a-z, A-Z, 0-9, with a length of 9."),
            rules.alternating("Unexpected role '{}' after role '{}'"),
        ),
        message_extra=lambda turn: {"prefix": False},
    ),
    Profile(
        "gemini",
        "gemini-3-pro-preview",
        _gemini,
        _gemini_words,
        (
            rules.named_results(
                "GenerateContentRequest.contents[{}].parts[0].function_response.name: Name cannot be empty."
            ),
            rules.signatures("Function call `{}` is missing a thought_signature in functionCall parts, position {}."),
            rules.alternating("Please ensure that a {} turn comes not after a {} turn"),
        ),
        call_extra=lambda turn, at: {} if at else {"extra_content": {"google": {"thought_signature": f"S{turn}"}}},
        usage="total",
    ),
    Profile(
        "deepseek",
        "deepseek-reasoner",
        _call,
        _openai_words,
        (
            rules.content(
                _there,
                "Failed to deserialize the JSON body into the target type: messages[{at}]: missing field `content`",
            ),
            rules.echo(
                "reasoning_content",
                {0: "T0", 1: ""},
                "Missing `reasoning_content` field in the assistant message at message index {at}.",
            ),
        ),
        message_extra=lambda turn: {"reasoning_content": None if turn else "T0"},
    ),
    Profile(
        "openrouter",
        "anthropic/claude-sonnet-5",
        _kimi,
        _openrouter_words,
        (
            rules.content(_no_empty_text, "messages: text content blocks must be non-empty"),
            rules.echo("reasoning_details", {0: _details(0), 1: _details(1)}, "thinking blocks cannot be modified"),
        ),
        (rules.whole_items("Required"), *_STRICT_ITEMS, _order(_kimi, True)),
        message_extra=lambda turn: {"reasoning": f"T{turn}", "reasoning_details": _details(turn)},
        reasoning=_encrypted,
    ),
    Profile(
        "groq",
        "openai/gpt-oss-120b",
        _call,
        _openai_words,
        (
            rules.only(CHAT | {"store"}, "property '{}' is unsupported"),
            rules.only_in("assistant", ASSISTANT, _GROQ),
            rules.content(_a_string, "'messages.{at}.content' : value must be a string"),
        ),
        (
            rules.only(RESPONSES - {"include", "store"}, "property '{}' is unsupported"),
            *_STRICT_ITEMS,
            _order(_call, True),
        ),
        message_extra=lambda turn: {"reasoning": f"T{turn}"},
        reasoning=_text,
    ),
    Profile(
        "xai",
        "grok-4-1-fast-reasoning",
        _call,
        _xai_words,
        (rules.content(_a_string, "Invalid request content: Each message must have at least one content element."),),
        (*_STRICT_ITEMS, _order(_call, True)),
        message_extra=lambda turn: {"reasoning_content": f"T{turn}"},
        reasoning=_encrypted,
        usage="beside",
    ),
    Profile(
        "vllm",
        "local-mistral",
        _vllm,
        _vllm_words,
        (
            rules.only(
                CHAT - {"max_completion_tokens"},
                "[{{'type': 'extra_forbidden', 'loc': ('body', '{}'), 'msg': 'Extra inputs are not permitted'}}]",
            ),
            rules.alternating(_ROLES),
            rules.ids("[!-~]{40,60}", "unknown tool call {}"),
        ),
        (*_STRICT_ITEMS, _order(_vllm, True)),
        message_extra=lambda turn: {"reasoning": f"T{turn}", "reasoning_content": f"T{turn}"},
        reasoning=_text,
    ),
    Profile(
        "ollama",
        "qwen3-coder",
        _call,
        _openai_words,
        (rules.content(_a_string, "invalid message content type: <nil>"),),
        (rules.typed_items("input item missing required 'type' field"), *_STRICT_ITEMS, _order(_call, True)),
        message_extra=lambda turn: {"reasoning": f"T{turn}"},
        reasoning=_text,
    ),
    Profile(
        "llama.cpp",
        "gpt-oss-20b",
        _llama,
        _llama_words,
        (rules.alternating(_ROLES), rules.ids("[A-Za-z0-9]{32}", "unknown tool call {}")),
        (rules.typed_items("Cannot determine type of 'item'"), *_STRICT_ITEMS, _order(_llama, True)),
        message_extra=lambda turn: {"reasoning_content": f"T{turn}"},
        reasoning=_text,
    ),
)

PROFILES = {profile.name: profile for profile in _ALL}
