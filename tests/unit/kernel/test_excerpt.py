"""Arguments as people see them: nothing that matters is cut, and nothing deceives."""

import hashlib
import json
from typing import Any

import pytest

from backstay.kernel.excerpt import LINES, Excerpt, excerpts, on_one_line


def sha(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def test_short_values_come_first_and_are_whole() -> None:
    args: dict[str, Any] = {"body": "x" * 5_000, "tags": ["a"], "amount": 120, "to": "A17", "draft": False, "cc": None}
    found = excerpts(args)
    assert [one.name for one in found] == ["amount", "to", "draft", "cc", "tags", "body"]
    lines = ["amount = 120", 'to = "A17"', "draft = false", "cc = null", 'tags = ["a"]']
    assert [one.line for one in found[:5]] == lines
    assert [one.whole for one in found] == [True] * 5 + [False]


def test_a_long_text_is_its_beginning_its_length_and_its_digest() -> None:
    text = "y" * 12_345
    [found] = excerpts({"body": text})
    assert found == Excerpt("body", f'"{"y" * 200}" … (12,345 characters, {sha(text)})', whole=False)


def test_a_long_list_is_the_beginning_of_its_json() -> None:
    value = list(range(500))
    text = json.dumps(value)
    [found] = excerpts({"ids": value})
    assert found.text == f"{text[:200]} … (JSON, {len(text):,} characters, {sha(text)})"
    assert not found.whole


@pytest.mark.parametrize(("length", "whole"), [(200, True), (201, False)])
def test_two_hundred_characters_are_short(length: int, whole: bool) -> None:
    assert excerpts({"body": "x" * length})[0].whole is whole


def test_two_texts_of_one_beginning_and_length_are_told_apart() -> None:
    one, other = (excerpts({"body": "x" * 300 + end})[0].text for end in "ab")
    assert one != other


def test_more_arguments_than_a_page_holds_are_counted_and_make_the_call_a_part() -> None:
    found = excerpts({f"a{number}": number for number in range(LINES + 7)})
    assert len(found) == LINES + 1
    assert "7 further arguments (sha256:" in found[-1].text
    assert not found[-1].whole


@pytest.mark.parametrize("character", ["\u202e", "\u200b", "\x1b", "\n", "\u2028", "\u3164", "\u00a0", "\u3000"])
def test_a_character_that_deceives_is_spelled_in_names_and_values(character: str) -> None:
    [found] = excerpts({f"a{character}b": f"c{character}d"})
    assert character not in found.line
    assert json.loads(found.text) == f"c{character}d"
    assert json.loads(found.name) == f"a{character}b"
    assert found.whole


def test_blanks_in_a_row_can_be_counted() -> None:
    [found] = excerpts({"command": "rm  -rf   x"})
    assert found.text == r'"rm \u0020-rf \u0020\u0020x"'
    assert json.loads(found.text) == "rm  -rf   x"


def test_a_name_cannot_be_taken_for_a_line_of_its_own() -> None:
    assert excerpts({"amount = 1": 2})[0].line == '"amount = 1" = 2'


def test_a_long_name_makes_the_call_a_part() -> None:
    [found] = excerpts({"n" * 100: 1})
    assert f"100 characters, {sha('n' * 100)}" in found.name
    assert not found.whole


def test_a_text_cannot_pretend_to_be_a_part_of_another() -> None:
    forged = '" … (9 characters, sha256:0)'
    [found] = excerpts({"body": forged})
    assert found.text == json.dumps(forged, ensure_ascii=False)
    assert found.whole


def test_what_is_spelled_once_is_not_spelled_again() -> None:
    once = on_one_line("a\u202e  b")
    assert on_one_line(once) == once
