"""Whatever a model replies: it is read as one of three kinds, and a call spelled as text never passes for an answer."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.kernel.events import DecisionKind
from backstay.kernel.reply import read_reply

pytestmark = pytest.mark.soak

PIECES = st.sampled_from(
    [
        "```",
        "```json",
        "<tool_call>",
        "</tool_call>",
        "{",
        "}",
        "[",
        '{"name": "pay", "arguments": {}}',
        "\n",
        " ",
        "hm",
    ]
)
TEXTS = st.text(st.characters(exclude_categories=[])) | st.lists(PIECES, max_size=12).map("".join)
KEYS = st.sampled_from(["name", "tool", "function", "arguments", "args", "input", "other"])
SCALARS = st.none() | st.integers() | st.sampled_from(["pay", "mail", "x"])
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=10
)


@given(st.none() | TEXTS | JSON.map(json.dumps), st.integers(0, 2), st.sampled_from(["stop", "length", "filtered"]))
def test_any_reply_is_of_one_kind_and_an_unusable_one_says_why(text: str | None, calls: int, finish: str) -> None:
    reading = read_reply(text, calls, finish, ["pay"])
    assert (reading.problem is not None) == (reading.kind is DecisionKind.MALFORMED)
    if finish != "stop":
        assert reading.kind is DecisionKind.MALFORMED
    elif calls:
        assert reading.kind is DecisionKind.CALLS
    else:
        assert reading.kind is not DecisionKind.CALLS
        assert reading.kind is DecisionKind.MALFORMED or (text or "").strip()


@given(st.dictionaries(KEYS, JSON, max_size=4), st.sampled_from(["{}", "[{}]", "```json\n{}\n```", "so:\n```{}```"]))
def test_a_call_of_a_known_tool_is_found_however_it_is_wrapped(beside: dict[str, Any], wrapping: str) -> None:
    beside = {key: value for key, value in beside.items() if key != "function"}
    text = wrapping.replace("{}", json.dumps({**beside, "name": "pay", "arguments": {"amount": 5}}))
    assert read_reply(text, 0, "stop", ["pay"]).kind is DecisionKind.MALFORMED
