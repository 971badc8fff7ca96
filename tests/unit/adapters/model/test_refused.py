"""A refusal that names a part of the request is answered by a request without it, whatever its words."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest

from backstay.adapters.model.dialect import Dialect
from backstay.adapters.model.refused import mended
from backstay.errors import ModelError

CALLED: dict[str, Any] = {"id": "a", "type": "function", "function": {"name": "lookup", "arguments": "{}"}}
CHAT: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "T",
            "reasoning_details": [],
            "tool_calls": [{**CALLED, "extra_content": {}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "x"},
    ],
    "tools": [{"type": "function", "function": {"name": "lookup", "strict": False}}],
    "max_tokens": 400,
    "parallel_tool_calls": False,
}
RESPONSES: dict[str, Any] = {
    "input": [{"type": "message", "role": "assistant", "content": "hi", "phase": "final_answer"}],
    "tools": [{"type": "function", "name": "lookup", "strict": False}],
    "max_output_tokens": 400,
    "store": False,
    "include": ["reasoning.encrypted_content"],
}


def refusal(body: object, status: int = 400) -> openai.APIStatusError:
    text = body if isinstance(body, str) else json.dumps(body)
    response = httpx2.Response(status, text=text, request=httpx2.Request("POST", "http://127.0.0.1/v1"))
    return openai.APIStatusError("refused", response=response, body=body)


def openai_like(message: str, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": None}}


def forbidden(*loc: str | int) -> dict[str, Any]:
    quoted = {"include": 1, "store": 1, "max_tokens": 1, "content": ""}
    return {"detail": [{"type": "extra_forbidden", "loc": ["body", *loc], "msg": "Extra inputs", "input": quoted}]}


OTHER = "max_completion_tokens"
CASES: dict[str, tuple[dict[str, Any], object, Callable[[Dialect], object], object]] = {
    "param": (CHAT, openai_like("no", "max_tokens"), lambda d: d.output_limit, OTHER),
    "message": (CHAT, openai_like("Unsupported parameter: 'max_tokens'. Use x"), lambda d: d.output_limit, OTHER),
    "both words": (
        CHAT,
        openai_like("'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."),
        lambda d: d.output_limit,
        OTHER,
    ),
    "camel case": (CHAT, {"error": "Model x does not support parameter maxTokens."}, lambda d: d.output_limit, OTHER),
    "a validator": (CHAT, forbidden("max_tokens"), lambda d: d.output_limit, OTHER),
    "a validator's own text": (
        CHAT,
        {"object": "error", "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'max_tokens')}]"},
        lambda d: d.output_limit,
        OTHER,
    ),
    "a list": (
        CHAT,
        [{"error": {"code": 400, "message": 'Unknown name "max_tokens"'}}],
        lambda d: d.output_limit,
        OTHER,
    ),
    "errors": (CHAT, {"errors": [{"message": "max_tokens: unknown"}]}, lambda d: d.output_limit, OTHER),
    "plain text": (CHAT, "unknown field `max_tokens`, expected one of", lambda d: d.output_limit, OTHER),
    "a router": (
        CHAT,
        {"error": {"message": "Provider returned error", "metadata": {"raw": '{"error": {"param": "max_tokens"}}'}}},
        lambda d: d.output_limit,
        OTHER,
    ),
    "beside the error": (
        RESPONSES,
        {"error": {"message": "Invalid request"}, "metadata": {"raw": '[{"path": ["include"], "message": "Bad"}]'}},
        lambda d: d.include,
        False,
    ),
    "include": (RESPONSES, openai_like("Encrypted content is not supported", "include"), lambda d: d.include, False),
    "what it asks for": (RESPONSES, openai_like("no reasoning.encrypted_content"), lambda d: d.include, False),
    "store": (RESPONSES, openai_like("property 'store' is unsupported"), lambda d: d.store, False),
    "strict": (
        RESPONSES,
        openai_like("Unknown parameter: 'tools[0].strict'", "tools[0].strict"),
        lambda d: d.strict,
        False,
    ),
    "parallel calls": (CHAT, openai_like("parallel_tool_calls?"), lambda d: d.parallel_tool_calls, None),
    "content": (
        CHAT,
        {"code": "x", "error": "Each message must have at least one content element."},
        lambda d: d.empty_content,
        "null",
    ),
    "no name": (CHAT, openai_like("function_response.name: Name cannot be empty."), lambda d: d.tool_name, True),
    "no name, a place": (CHAT, forbidden("messages", 2, "tool", "name"), lambda d: d.tool_name, True),
    "a field of a reply": (
        CHAT,
        openai_like("'messages.1' : property 'reasoning_details' is unsupported"),
        lambda d: d.withheld,
        {"reasoning_details"},
    ),
    "a field of a call": (CHAT, forbidden("messages", 1, "extra_content"), lambda d: d.withheld, {"extra_content"}),
    "reasoning": (CHAT, openai_like("Remove reasoning_content."), lambda d: d.withheld, {"reasoning_content"}),
    "a field of an item": (RESPONSES, openai_like("no", "input[0].phase"), lambda d: d.withheld, {"phase"}),
    "no id": (RESPONSES, openai_like("Required", "input[0].id"), lambda d: d.whole_items, True),
}


@pytest.mark.parametrize("case", CASES)
def test_the_next_request_is_without_what_was_refused(case: str) -> None:
    body, said, read, wanted = CASES[case]
    mend = mended(Dialect(parallel_tool_calls=False), body, refusal(said))
    assert mend is not None
    assert read(mend.dialect) == wanted


def test_the_other_word_for_the_limit_is_tried_in_both_directions() -> None:
    body = {"messages": [], OTHER: 400}
    mend = mended(Dialect(output_limit="max_completion_tokens"), body, refusal(forbidden(OTHER), 422))
    assert mend is not None
    assert (mend.refused, mend.dialect.output_limit) == (OTHER, "max_tokens")


def test_reasoning_that_a_server_misses_is_there_next_time() -> None:
    lacking = {**CHAT, "messages": [*CHAT["messages"], {"role": "assistant", "content": "hi"}]}
    mend = mended(Dialect(), lacking, refusal(openai_like("Missing `reasoning_content` field at index 4.")))
    assert mend is not None
    assert mend.dialect.reasoning_content


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (CHAT, refusal(openai_like("the model does not exist", "model"))),
        (CHAT, refusal(openai_like("no", "include"))),
        (CHAT, refusal(openai_like("no", "max_tokens"), 401)),
        (CHAT, refusal(openai_like("no", "max_tokens"), 429)),
        (CHAT, refusal(openai_like("no", "max_tokens"), 500)),
        (
            CHAT,
            refusal({"error": {"code": "tool_use_failed", "message": "content", "failed_generation": "max_tokens"}}),
        ),
        (CHAT, refusal("[" * 100_000)),
        (CHAT, refusal("<html>")),
        (CHAT, refusal("")),
        (CHAT, refusal({"a": {"b": [{"c": {}}]}})),
        (CHAT, ModelError("refused", "max_tokens", retryable=False, billed=True)),
        (CHAT, ModelError("lost", "max_tokens", retryable=True, billed=True)),
        (CHAT, RuntimeError("max_tokens")),
        (RESPONSES, refusal(openai_like("no", "max_output_tokens"))),
    ],
)
def test_nothing_else_is_asked_again(body: dict[str, Any], error: Exception) -> None:
    assert mended(Dialect(), body, error) is None


def test_an_error_in_a_good_status_counts_where_it_is_unbilled() -> None:
    error = ModelError("refused", "HTTP 400: unknown `max_tokens`", retryable=False, billed=False)
    assert mended(Dialect(), CHAT, error) is not None
