"""An error in the body of an HTTP 200 is what the status in it says."""

import json
from typing import Any

import pytest

from backstay.adapters.model.openai_errors import retry_after
from backstay.adapters.model.openai_reply import read_reply
from backstay.contracts.admission import Api
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
