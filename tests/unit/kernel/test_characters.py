"""Characters that steer a terminal or deceive a reader are spelled out."""

import json

import pytest

from backstay.kernel.characters import escaped, steers

SPELLED = {
    "\n": r"\u000a",
    "\x1b": r"\u001b",
    "\x7f": r"\u007f",
    "\x85": r"\u0085",
    "\u200b": r"\u200b",
    "\u202e": r"\u202e",
    "\u2028": r"\u2028",
    "\ue000": r"\ue000",
    "\ud800": r"\ud800",
    "\U000e0041": r"\udb40\udc41",
    "\u3164": r"\u3164",
    "\u2800": r"\u2800",
    "\ufe0e": r"\ufe0e",
    "\U000e0fff": r"\udb43\udfff",
}


@pytest.mark.parametrize(("character", "spelled"), SPELLED.items(), ids=SPELLED.values())
def test_a_character_that_is_not_for_reading_is_spelled_as_json_does(character: str, spelled: str) -> None:
    assert steers(character)
    assert escaped(f"a{character}b") == f"a{spelled}b"
    assert json.loads(f'"{escaped(character)}"') == character


@pytest.mark.parametrize("text", ["", "Refund A17", "größe · 安 🙂", "a\u00a0b", "\\n"])
def test_a_text_for_reading_stays_as_it_is(text: str) -> None:
    assert escaped(text) == text


def test_of_all_characters_those_that_steer_are_spelled_and_no_other() -> None:
    assert [hex(code) for code in range(0x110000) if (escaped(chr(code)) == chr(code)) == steers(chr(code))] == []
