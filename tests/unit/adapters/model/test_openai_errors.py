"""An error in the body of an HTTP 200 is what the status in it says."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import openai
import pytest

from backstay.adapters.model.openai_errors import LONGEST_WAIT, as_model_error, retry_after, shown
from backstay.adapters.model.openai_reply import read_reply
from backstay.contracts.admission import Api
from backstay.contracts.decision import BilledUsage
from backstay.errors import ModelError

SLOW = {"code": 429, "message": "slow down"}
EMPTY = {"choices": [{"message": {"content": None}, "finish_reason": None}]}
FULL = {"choices": [{"message": {"content": "done"}, "finish_reason": "stop"}]}


def read(body: Any, api: Api = "chat") -> ModelError:
    with pytest.raises(ModelError) as raised:
        read_reply(api, json.dumps(body).encode(), lambda index: f"1-{index}")
    return raised.value


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize(
    ("error", "kind", "retryable", "billed"),
    [
        ({"code": 429, "message": "slow down"}, "rate_limited", True, False),
        ({"code": "429", "message": "slow down"}, "rate_limited", True, False),
        ({"code": 429, "type": "insufficient_quota", "message": "pay up"}, "refused", False, False),
        ({"code": 402, "message": "pay up"}, "refused", False, False),
        ({"code": 400, "message": "no"}, "refused", False, False),
        ({"status": 503, "message": "busy"}, "overloaded", True, True),
        ({"status_code": 502, "message": "gone"}, "overloaded", True, True),
    ],
)
def test_an_error_instead_of_a_reply_is_what_its_status_says(
    api: Api, error: dict[str, Any], kind: str, retryable: bool, billed: bool
) -> None:
    said = read({"error": error}, api)
    assert (said.kind, said.retryable, said.billed) == (kind, retryable, billed)
    assert error["message"] in str(said)


@pytest.mark.parametrize(
    "body",
    [
        {"object": "error", "code": 429, "message": "slow down"},
        {**EMPTY, "error": {"code": 429, "message": "slow down"}},
        {"choices": [{**EMPTY["choices"][0], "error": {"code": 429, "message": "slow down"}}]},
        {
            "choices": [{**EMPTY["choices"][0], "finish_reason": "error"}],
            "error": {"code": 429, "message": "slow down"},
        },
    ],
)
def test_it_is_found_wherever_servers_put_it(body: Any) -> None:
    said = read(body)
    assert (said.kind, said.billed) == ("rate_limited", False)


RATE_LIMITED: list[Any] = [
    [{"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}],
    {"code": 429, "message": "m", "data": None},
    {"statusCode": 429, "message": "m"},
    {"status": "429", "title": "m"},
    {"detail": "Too many requests"},
    {"errors": [{"code": 429, "message": "m"}], "success": False},
    {"error": 429},
    {"error": {"error": {"code": 429}}},
    {"error": {"status": {"code": 429.0}}},
    {"error": {"message": "m", "details": [{"http_status": 429}]}},
    {"error": True, "message": "Rate limit reached"},
    {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}, "choices": None},
    {"error_code": 18, "error_msg": "Open api qps request limit reached"},
    {"code": "Throttling.RateQuota"},
    {"choices": [{"message": {"content": None, "error": {"code": 429}}}]},
    "HTTP 429: m",
    "Rate limit exceeded",
    {"error": "HTTP 429: m"},
    {"error": "Error code: 429 - {'message': 'm'}"},
    {"error": "status=429"},
    {"error": "429 Too Many Requests"},
]


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("body", RATE_LIMITED, ids=lambda body: str(body)[:60])
def test_it_is_known_in_every_form(api: Api, body: Any) -> None:
    said = read(body, api if "choices" not in body else "chat")
    assert (said.kind, said.retryable, said.billed) == ("rate_limited", True, False)


@pytest.mark.parametrize(
    ("body", "kind", "billed"),
    [
        ({"status_code": 402, "message": "no credit"}, "refused", False),
        ({"errors": [{"code": 401, "message": "no"}]}, "refused", False),
        ({"error": "Error code: 402"}, "refused", False),
        ([{"error": {"code": 503}}], "overloaded", True),
        ({"detail": [{"loc": ["body", "model"], "msg": "model not found"}]}, "refused", False),
    ],
    ids=str,
)
def test_every_form_is_final_or_tried_again_as_its_status_says(body: Any, kind: str, billed: bool) -> None:
    said = read(body)
    assert (said.kind, said.billed, said.retryable) == (kind, billed, kind != "refused")


@pytest.mark.parametrize(
    "nothing", [None, {}, [], "", 0, False, {"code": None, "message": None}, {"code": 0, "message": "success"}, "none"]
)
def test_an_empty_field_for_errors_holds_none(nothing: Any) -> None:
    for body in ({**FULL, "error": nothing}, {"choices": [{**FULL["choices"][0], "error": nothing}]}):
        assert read_reply("chat", json.dumps(body).encode(), str).decision.text == "done"


@pytest.mark.parametrize("code", [502, 429, 402])
@pytest.mark.parametrize(
    "choice",
    [
        {"finish_reason": None, "message": {"content": "The answer is"}},
        {"finish_reason": "stop", "message": {"tool_calls": [{"function": {"name": "pay", "arguments": "{}"}}]}},
        {"finish_reason": "abort", "message": {"content": "The answer is"}},
    ],
    ids=str,
)
def test_what_began_before_an_error_is_no_reply_and_may_be_billed(code: int, choice: dict[str, Any]) -> None:
    said = read({"choices": [choice], "error": {"code": code, "message": "upstream died"}})
    assert said.billed
    assert said.retryable == (code != 402)
    assert "upstream died" in str(said)


@pytest.mark.parametrize("code", [429, 400, 403, 402])
@pytest.mark.parametrize(
    "body",
    [
        {"error": {}, "usage": {"prompt_tokens": 900, "completion_tokens": 20_000, "total_tokens": 20_900}},
        {"error": {}, "usage": {"input_tokens": 0, "output_tokens_details": {"reasoning_tokens": 7}}},
        {"error": {"usage": {"total_tokens": 3}}},
        {"error": {}, **EMPTY, "usage": {"completion_tokens": 12.0}},
        {"error": {}, "usageMetadata": {"thoughtsTokenCount": 5}},
        {"error": {"metadata": {"usage": {"total_tokens": 3}}}},
        {"error": {"metadata": {"raw": '{"error": {"code": 1}, "usage": {"completion_tokens": 4}}'}}},
        {"error": {}, "x_groq": {"usage": {"completion_tokens": 3}}},
        {"error": {}, "usage": {"completion_tokens": "9"}},
        {"error": {}, "token_usage": {"output": 9}},
        {"error": {}, "choices": [{"message": {"content": ""}, "usage": {"total_tokens": 9}, "finish_reason": None}]},
        {"error": {}, "choices": [EMPTY["choices"][0], {"message": {"usage": {"total_tokens": 9}}}]},
        {"error": {}, "choices": [{"message": {"content": "", "reasoning": "long thoughts"}, "finish_reason": None}]},
        {"error": {}, "choices": [{"message": {"content": None, "reasoning_content": "hm"}, "finish_reason": "error"}]},
    ],
    ids=str,
)
def test_an_error_that_carries_a_bill_or_thoughts_has_cost_something(code: int, body: dict[str, Any]) -> None:
    said = read({**body, "error": {**body["error"], "code": code, "message": "broke off"}})
    assert (said.billed, said.retryable) == (True, code == 429)


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": 0, "completion_tokens": "0"}, [], "none", {"cached": True, "tier": "free"}]
)
def test_an_error_beside_an_empty_bill_has_cost_nothing(usage: Any) -> None:
    assert not read({"error": SLOW, "usage": usage}).billed


@pytest.mark.parametrize("status", [400, 403, 429])
def test_a_refused_request_that_carries_a_bill_has_cost_something(status: int) -> None:
    body = {"error": {"message": "content filter"}, "usage": {"prompt_tokens": 900, "completion_tokens": 4}}
    for sent, billed in ((body, True), ({"error": body["error"]}, False)):
        response = httpx2.Response(status, request=httpx2.Request("POST", "https://model.example"), json=sent)
        assert as_model_error(openai.APIStatusError("no", response=response, body=None)).billed is billed  # pyright: ignore[reportArgumentType]


BILL = {"prompt_tokens": 900, "completion_tokens": 20_000, "total_tokens": 20_900}


@pytest.mark.parametrize(
    "body",
    [
        {"error": SLOW, "usage": BILL, "model": "m-large"},
        {"error": {**SLOW, "metadata": {"usage": BILL}}, "model": "m-large"},
        {
            "error": SLOW,
            "usage": {"prompt_tokens": 1, "completion_tokens": 1},
            "x_groq": {"usage": BILL},
            "model": "m-large",
        },
        {"error": {"message": "hm"}, "usage": BILL, "model": "m-large"},
        {"choices": [{"message": {"content": "a"}, "finish_reason": "error"}], "usage": BILL, "model": "m-large"},
        {"choices": "none", "usage": BILL, "model": "m-large"},
    ],
    ids=str,
)
def test_the_bill_of_an_error_comes_with_it(body: dict[str, Any]) -> None:
    said = read(body)
    assert said.billed
    assert said.bill == BilledUsage(input_tokens=900, output_tokens=20_000)
    assert said.model == "m-large"
    assert shown(said, None).bill == said.bill


def test_a_response_that_failed_comes_with_its_bill() -> None:
    bill = {"input_tokens": 900, "output_tokens": 7, "total_tokens": 907}
    said = read({"status": "failed", "error": {"code": "server_error"}, "output": [], "usage": bill}, "responses")
    assert said.bill == BilledUsage(input_tokens=900, output_tokens=7)


def test_a_bill_that_cannot_be_believed_says_only_that_there_is_one() -> None:
    said = read({"error": SLOW, "usage": {"completion_tokens": 5}})
    assert (said.billed, said.bill) == (True, None)


def test_a_reply_with_an_error_beside_it_is_a_reply() -> None:
    body = json.dumps({**FULL, "error": {"code": 429, "message": "next time"}}).encode()
    assert read_reply("chat", body, str).decision.text == "done"


def test_an_error_that_names_no_status_may_have_been_billed() -> None:
    assert read({"error": {"message": "hm"}}, "responses").billed
    assert read({"error": {"message": "hm"}}).billed


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 99999999999 00:00:00 GMT",
        "Mon, 01 Jan 0000 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Mon, 32 Jan 2026 00:00:00 GMT",
        "1e400",
        "-1e400",
        "nan",
    ],
)
def test_a_time_that_no_clock_has_is_no_time_to_wait(date: str) -> None:
    assert retry_after({"retry-after": date}) in (None, 0.0, 3600.0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "150", "retry-after": "9"}, 0.15),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "86400"}, LONGEST_WAIT),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 -0000"}, 0.0),
    ],
)
def test_the_wait_a_provider_asks_for_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_wait_until_a_date_is_read() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=2), usegmt=True)
    wait = retry_after({"retry-after": date})
    assert wait is not None
    assert 110 < wait <= 120
