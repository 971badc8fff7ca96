"""Script files: what they can say, and how a wrong one is refused."""

import pytest

from backstay.testing import (
    MISSING,
    Attempts,
    Call,
    Drip,
    Drop,
    Failure,
    Raw,
    RawUsage,
    Reply,
    ScriptError,
    Usage,
    read_script,
)


def test_a_script_file_says_all_that_a_script_can() -> None:
    text = """[
        {"text": "Done.", "delay": 0.5, "finish": "length"},
        {"calls": [{"tool": "a", "args": {"x": 1}}, {"tool": "b", "args": "{", "id": "i"}], "text": "Now"},
        {"text": "", "usage": {"input_tokens": 1, "output_tokens": 2, "cached_tokens": 1}},
        {"text": "", "usage": {"raw": null}},
        {"text": "", "usage": "missing"},
        {"status": 429, "retry_after": 1, "message": "slow down", "code": "rate_limit"},
        {"status": 200, "body": "<html>", "content_type": "text/html"},
        {"drop": true, "after_bytes": 3},
        {"drip": 2, "text": "slow"},
        {"attempts": [{"drop": true}, {"text": "ok"}]}
    ]"""
    assert read_script(text) == [
        Reply("Done.", [], delay=0.5, finish="length"),
        Reply("Now", [Call("a", {"x": 1}), Call("b", "{", "i")]),
        Reply("", [], Usage(1, 2, 1)),
        Reply("", [], RawUsage(None)),
        Reply("", [], RawUsage(MISSING)),
        Failure(429, "slow down", "rate_limit", 1),
        Raw(200, "<html>", "text/html"),
        Drop(after_bytes=3),
        Drip(2, Reply("slow", [])),
        Attempts(Drop(), Reply("ok", [])),
    ]
    assert read_script('{"refund": [{"text": "ok"}]}') == {"refund": [Reply("ok", [])]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not JSON"),
        ("5", "script: must be a list of turns"),
        ('{"refund": {}}', "refund: must be a list of turns"),
        ("[5]", r"\[0\]: must be an object"),
        ("[{}]", r"\[0\]: needs one of `text`"),
        ('[{"text": "ok"}, {"txt": "ok", "text": "x"}]', r"\[1\]: unknown field `txt`"),
        ('[{"text": 5}]', r"\[0\]\.text: must be a string"),
        ('[{"calls": {}}]', r"\[0\]\.calls: must be a list"),
        ('{"refund": [{"calls": [{"args": {}}]}]}', r"refund\[0\]\.calls\[0\]: `tool` is missing"),
        ('[{"calls": [{"tool": "a", "args": []}]}]', r"\[0\]\.calls\[0\]\.args: must be an object"),
        ('[{"status": "429"}]', r"\[0\]\.status: must be a whole number"),
        ('[{"status": 99}]', r"\[0\]\.status: must be from 200"),
        ('[{"status": 500, "delay": -1}]', r"\[0\]\.delay: must be a number of seconds"),
        ('[{"drop": false}]', r"\[0\]\.drop: must be true"),
        ('[{"attempts": []}]', r"\[0\]\.attempts: at least one"),
        ('[{"attempts": [{"text": "a"}, 5]}]', r"\[0\]\.attempts\[1\]: must be an object"),
        ('[{"text": "a", "usage": {"input_tokens": 5}}]', r"\[0\]\.usage\.output_tokens: must be"),
    ],
)
def test_a_wrong_script_file_is_refused_in_one_line_with_the_position(text: str, message: str) -> None:
    with pytest.raises(ScriptError, match=f"^{message}") as caught:
        read_script(text)
    assert "\n" not in str(caught.value)


def test_attempts_need_a_turn() -> None:
    with pytest.raises(ValueError, match="at least one turn"):
        Attempts()
