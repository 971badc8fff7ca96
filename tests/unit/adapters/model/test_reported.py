"""What the bodies of errors say, as providers word them."""

import json
import time
from typing import Any

import pytest

from backstay.adapters.model.reported import bad_call, is_bad_finish, provider_message, status_of

QUOTED = json.dumps({"error": {"code": "tool_use_failed", "message": "Failed to call a function."}})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "no"}}, "no"),
        ({"error": "no"}, "no"),
        ({"message": "no"}, "no"),
        ({"detail": "no"}, "no"),
        (
            {"detail": [{"loc": ["body", "n"], "msg": "big"}, {"loc": ["q"], "msg": "odd"}]},
            "body.n: big; q: odd",
        ),
        ({"errors": [{"message": "one"}, {"message": "two"}]}, "one; two"),
        ({"errors": ["one", "two", "one"]}, "one; two"),
        ({"errors": {"model": ["is required"], "n": ["is odd", "is big"]}}, "model: is required; n: is odd; is big"),
        ({"message": "invalid", "errors": ["one"]}, "invalid: one"),
        ({"message": "invalid", "detail": [{"loc": ["q"], "msg": "odd"}]}, "invalid: q: odd"),
        ({"message": {"error": {"detail": "deep"}}}, "deep"),
        (
            {"error": {"message": "No", "metadata": {"raw": QUOTED}}},
            "No: Failed to call a function.",
        ),
        ({"status": 400, "error": "Bad Request", "message": "too long", "path": "/v1"}, "too long"),
        ([{"error": {"code": 400, "message": "one"}}, {"error": {"message": "two"}}], "one; two"),
        ({"fault": {"faultstring": "bad key", "detail": {"errorcode": "x"}}}, "x"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "Overloaded"),
        ({"error_description": "expired", "error": {}}, "expired"),
        ("  plain\n", "plain"),
        ('{"error": {"message": "in a text"}}', "in a text"),
        ("<html><head><title>502 Bad\nGateway</title></head><h1>x</h1></html>", "502 Bad Gateway"),
        ("<html><h1>x</h1></html>", ""),
        ("{broken", "{broken"),
        ({"request_id": "x", "code": 5}, ""),
        (None, ""),
        (7, ""),
        ([], ""),
    ],
)
def test_the_words_of_an_error_are_found(body: Any, said: str) -> None:
    assert provider_message(body) == said


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": 429}, 429),
        ({"code": "503"}, 503),
        ({"status": 402}, 402),
        ({"code": 200, "type": "overloaded_error"}, 503),
        ({"code": "rate_limit_exceeded"}, 429),
        ({"type": "rate_limit_error"}, 429),
        ({"status": "RESOURCE_EXHAUSTED"}, 429),
        ({"code": "Throttling.User"}, 429),
        ({"code": "too_many_requests", "type": "invalid_request_error"}, 429),
        ({"code": "insufficient_quota"}, 402),
        ({"code": "server_error"}, 503),
        ({"type": "api_error"}, 503),
        ({"code": "internal_server_error"}, 503),
        ({"type": "authentication_error"}, 401),
        ({"code": "invalid_api_key", "type": "invalid_request_error"}, 401),
        ({"code": "permission_denied"}, 403),
        ({"code": "model_not_found"}, 404),
        ({"code": "context_length_exceeded"}, 400),
        ({"object": "error", "type": "BadRequestError"}, 400),
        ({"message": "Rate limit reached for model"}, 429),
        ("the model is overloaded", 503),
        ("Too many requests", 429),
        ({"code": "something_else", "message": "hm"}, None),
        ({"code": True}, None),
        ({"code": float("inf")}, None),
        ({}, None),
        (None, None),
    ],
)
def test_an_error_stands_for_a_status_by_number_code_or_words(error: Any, status: int | None) -> None:
    assert status_of(error) == status


BAD_CALLS: list[Any] = [
    {"error": {"code": "tool_use_failed", "message": "m", "failed_generation": "<function=x>"}},
    {"error": {"message": "m", "failed_generation": "{"}},
    {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": QUOTED}}},
    {"error": {"code": "output_parse_failed", "message": "Parsing failed."}},
    {"error": "error parsing tool call: raw='{', err=unexpected end of JSON input"},
    {
        "error": {
            "code": 500,
            "message": "Failed to parse tool call arguments as JSON: [json.exception]",
        }
    },
    {"error": {"code": 500, "message": "Failed to parse input at pos 184: <tool"}},
    {"error": {"message": "tool call validation failed: attempted to call tool 'x' which was not in request.tools"}},
    {"error": {"message": "Could not parse function call arguments"}},
    {"object": "error", "message": "Error in extracting tool call from response."},
    {"message": "The model produced an invalid tool call"},
    {"detail": "The model generated output that could not be parsed"},
    {"error": {"message": "Model tried to call unavailable tool 'todo_write'"}},
    {"error": {"type": "invalid_tool_call", "message": "no"}},
    {"errors": [{"code": "MALFORMED_FUNCTION_CALL"}]},
    "Failed to call a function. Please adjust your prompt.",
]
OTHERS: list[Any] = [
    {"error": {"message": "Invalid parameter: messages with role 'tool' must be a response to a preceding message"}},
    {"error": {"message": "messages[3].tool_calls[0]: could not parse tool call arguments"}},
    {"error": {"message": "could not parse tool call", "param": "messages[3].tool_calls"}},
    {"error": {"message": "the model does not support tools"}},
    {"error": {"message": "model not found", "failed_generation": ""}},
    {"error": {"code": "rate_limit_exceeded", "message": "slow down"}},
    {"error": {"code": "invalid_function_parameters", "message": "Invalid schema for function 'x'"}},
    "hm",
    None,
]


@pytest.mark.parametrize("body", BAD_CALLS, ids=str)
def test_an_error_over_a_call_that_the_model_wrote_is_found(body: Any) -> None:
    assert bad_call(body)


@pytest.mark.parametrize("body", OTHERS, ids=str)
def test_an_error_over_the_request_is_another_one(body: Any) -> None:
    assert bad_call(body) is None


@pytest.mark.parametrize(
    ("reason", "is_bad"),
    [
        ("malformed_function_call", True),
        ("MALFORMED_FUNCTION_CALL", True),
        ("function_call_filter: MALFORMED_FUNCTION_CALL", True),
        ("unexpected_tool_call", True),
        ("tool_calls", False),
        ("function_call", False),
        ("stop", False),
        (None, False),
        (7, False),
    ],
)
def test_a_finish_reason_may_say_that_a_call_is_bad(reason: object, is_bad: bool) -> None:
    assert is_bad_finish(reason) == is_bad


@pytest.mark.parametrize(
    "body",
    ["model generated " * 20_000, [[["x"] * 20] * 20] * 20, {"error": "x" * 10**6}, "{" * 10**5],
    ids=["words", "lists", "text", "brackets"],
)
def test_a_huge_error_is_read_in_no_time(body: Any) -> None:
    start = time.process_time()
    provider_message(body)
    bad_call(body)
    assert time.process_time() - start < 2.0
