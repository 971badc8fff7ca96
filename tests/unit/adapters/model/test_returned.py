"""What a reply carries beyond the known fields is kept whole, or not at all."""

from typing import Any

import pytest

from backstay.adapters.model.returned import MAX_EXTRA, bounded, call_extra, message_extra, usable_id
from backstay.contracts.decision import Decision, Part


def test_a_message_keeps_what_nobody_here_reads() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": None}]
    message = {"role": "assistant", "content": "hi", "reasoning_details": details, "new_thing": {"a": 0}, "flag": False}
    assert message_extra(message) == {"reasoning_details": details, "new_thing": {"a": 0}, "flag": False}


@pytest.mark.parametrize("name", ["refusal", "annotations", "audio", "function_call", "index", "parsed"])
def test_what_only_a_reply_has_is_not_kept(name: str) -> None:
    assert message_extra({"role": "assistant", "content": "hi", name: ["x"]}) == {}


def test_a_null_is_not_kept() -> None:
    assert message_extra({"content": None, "reasoning_content": None}) == {}
    assert call_extra({"id": "1", "extra_content": None, "function": {"name": "x", "signature": None}}) == {}


def test_content_of_parts_is_kept_where_one_is_no_text() -> None:
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "hi"}]
    assert message_extra({"content": thinking}) == {"content": thinking}
    assert message_extra({"content": [{"type": "text", "text": "hi"}]}) == {}


def test_a_call_keeps_its_fields_in_their_places() -> None:
    call = {"id": "1", "type": "function", "index": 0, "extra_content": {"google": {"thought_signature": "S"}}}
    assert call_extra({**call, "function": {"name": "x", "arguments": "{}", "note": "n"}}) == {
        "extra_content": {"google": {"thought_signature": "S"}},
        "function": {"note": "n"},
    }
    assert call_extra({**call, "function": "no object"}) == {"extra_content": call["extra_content"]}


@pytest.mark.parametrize("id", ["D681PevKs", "functions.lookup:0", "chatcmpl-tool-" + "0" * 32, "x" * 128, "1-0"])
def test_an_id_of_a_server_is_kept(id: str) -> None:
    assert usable_id(id) == id


@pytest.mark.parametrize("id", [None, "", 7, ["x"], "x" * 129, "a b", "a\n", "a\x00b", "ü", "a\u202eb", True])
def test_an_id_that_no_request_should_repeat_is_not(id: object) -> None:
    assert usable_id(id) is None


def decision(extra: dict[str, Any], on_call: dict[str, Any]) -> Decision:
    return Decision(text="hi", extra=extra, parts=[Part(kind="text", length=2), Part(kind="call", extra=on_call)])


def test_fields_within_the_bound_are_kept_as_they_are() -> None:
    kept = decision({"reasoning_content": "x" * (MAX_EXTRA // 2)}, {"signature": "y" * (MAX_EXTRA // 3)})
    assert bounded(kept) == kept
    assert bounded(Decision()) == Decision()


@pytest.mark.parametrize(
    ("message", "call"), [(MAX_EXTRA, 0), (0, MAX_EXTRA), (MAX_EXTRA // 2, MAX_EXTRA // 2), (MAX_EXTRA // 3, 0)]
)
def test_fields_over_the_bound_are_all_dropped_and_none_is_cut(
    message: int, call: int, caplog: pytest.LogCaptureFixture
) -> None:
    letter = "ü" if call else "€"  # counted in bytes
    dropped = bounded(decision({"reasoning_content": letter * message}, {"signature": "y" * call}))
    assert dropped == Decision(text="hi", parts=[Part(kind="text", length=2), Part(kind="call")])
    assert "none is kept" in caplog.text
