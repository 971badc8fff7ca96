"""The words by which servers say how a reply ended."""

import pytest

from backstay.adapters.model.finish import ending

WHOLE = [
    "stop",
    "STOP",
    "end_turn",
    "eos",
    "eos_token",
    "stop_sequence",
    "tool_calls",
    "function_call",
    "tool_use",
    "COMPLETE",
]
CUT = ["length", "LENGTH", "MAX_TOKENS", "max_output_tokens", "model_length", "token_limit", "repetition_truncation"]
FILTERED = [
    "content_filter",
    "SAFETY",
    "sensitive",
    "RECITATION",
    "PROHIBITED_CONTENT",
    "function_call_filter",
    "refusal",
]
BROKEN = [
    *("insufficient_system_resource", "abort", "network_error", "cancelled", "time_limit", "error", "load"),
    *("stop_error", "tool_call_failed", "OTHER", "unknown"),
]
READ = {"stop": WHOLE, "length": CUT, "filtered": FILTERED, None: BROKEN}


@pytest.mark.parametrize(("read", "reason"), [(read, reason) for read, several in READ.items() for reason in several])
def test_an_end_is_read_in_any_servers_words(read: str | None, reason: str) -> None:
    assert ending(reason) == read
    assert ending(reason.swapcase()) == read


@pytest.mark.parametrize("reason", [None, ""])
def test_a_reply_without_a_reason_has_ended_as_usual(reason: str | None) -> None:
    assert ending(reason) == "stop"


@pytest.mark.parametrize(
    ("native", "read"),
    [("MAX_TOKENS", "length"), ("SAFETY", "filtered"), ("eos", "stop"), ("OTHER", "stop"), (7, "stop")],
)
def test_the_server_behind_a_gateway_may_know_more(native: object, read: str) -> None:
    assert ending("stop", native) == read
