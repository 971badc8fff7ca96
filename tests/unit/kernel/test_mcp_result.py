import base64
import hashlib
import json
from typing import Any

import pytest

from backstay.kernel.mcp_result import NOTHING, answer_text

PICTURE = b"\x89PNG" + bytes(range(256)) * 40
ENCODED = base64.b64encode(PICTURE).decode()
DESCRIBED = f'"bytes":{len(PICTURE)},"sha256":"{hashlib.sha256(PICTURE).hexdigest()}"'


def text(words: str) -> dict[str, Any]:
    """A part of text."""
    return {"type": "text", "text": words}


def test_parts_of_text_are_joined() -> None:
    assert answer_text({"content": [text("one"), text("two")]}) == "one\ntwo"


@pytest.mark.parametrize(
    "answer", [{}, {"content": []}, {"content": None}, {"content": [text(" ")]}, {"content": [{"type": "text"}]}]
)
def test_an_answer_without_words_says_so(answer: dict[str, Any]) -> None:
    assert answer_text(answer) == NOTHING


def test_structured_content_stands_in_place_of_a_text_that_repeats_it() -> None:
    answer = {"content": [text('{"a": 1}'), text("and more")], "structuredContent": {"a": 1}}
    assert answer_text(answer) == 'and more\n{"a":1}'


def test_a_text_that_is_the_whole_result_is_shown_once() -> None:
    assert answer_text({"content": [text("five")], "structuredContent": {"result": "five"}}) == '{"result":"five"}'


def test_a_text_that_says_something_else_stays() -> None:
    answer = {"content": [text("no json"), {"type": "text"}, 5], "structuredContent": [1]}
    assert answer_text(answer) == 'no json\n[a part of the kind "5", which is not shown]\n[1]'


def test_a_note_stands_first() -> None:
    assert answer_text({"content": [text("x")]}, "careful") == "careful\nx"


@pytest.mark.parametrize("kind", ["image", "audio"])
def test_a_picture_or_a_sound_is_described(kind: str) -> None:
    shown = answer_text({"content": [{"type": kind, "mimeType": "image/png", "data": ENCODED}]})
    assert shown == f'{{"type":"{kind}","mime":"image/png",{DESCRIBED}}}'


def test_data_that_is_no_base64_is_described_as_it_is() -> None:
    shown = json.loads(answer_text({"content": [{"type": "image", "data": "???"}]}))
    assert shown == {"type": "image", "mime": "", "bytes": 3, "sha256": hashlib.sha256(b"???").hexdigest()}


def test_a_resource_shows_its_text_and_describes_its_file() -> None:
    written = {"type": "resource", "resource": {"uri": "file:///a", "text": "hello"}}
    binary = {"type": "resource", "resource": {"uri": "file:///b", "mimeType": "image/png", "blob": ENCODED}}
    assert answer_text({"content": [written]}) == "[resource file:///a]\nhello"
    assert (
        answer_text({"content": [binary]}) == f'[resource file:///b] {{"type":"blob","mime":"image/png",{DESCRIBED}}}'
    )
    assert answer_text({"content": [{"type": "resource", "resource": 5}]}) == "[resource ]\n"


def test_a_link_is_shown_and_hides_nothing() -> None:
    shown = answer_text({"content": [{"type": "resource_link", "uri": "https://x.example/\u202e", "name": "report"}]})
    assert shown == "[link to a resource: report https://x.example/\\u202e]"


def test_an_unknown_part_is_named() -> None:
    assert answer_text({"content": [{"type": "hologram"}]}) == '[a part of the kind "hologram", which is not shown]'


def test_a_file_in_structured_content_is_described_too() -> None:
    answer = {
        "content": [],
        "structuredContent": {"pages": [{"image": ENCODED, "url": f"data:image/png;base64,{ENCODED}"}]},
    }
    shown = answer_text(answer)
    assert len(shown) < 500
    assert shown.count(DESCRIBED) == 2


def test_a_long_text_in_structured_content_stays() -> None:
    words = "a long story, " * 1_000
    assert words in answer_text({"structuredContent": {"story": words, "size": 3, "whole": True}})


def test_half_a_character_spoils_no_result() -> None:
    assert answer_text({"content": [text("a\ud800b")]}) == "a?b"
    assert "sha256" in answer_text({"content": [{"type": "image", "data": "\ud800"}]})
