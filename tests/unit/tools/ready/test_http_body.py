"""Bodies as text: cut between characters, small enough as JSON, and a note where they are no text."""

import hashlib
import json

import pytest

from backstay.tools.ready.http_body import body_text, fitting, no_text

DIGEST = hashlib.sha256(b"\xff").hexdigest()


@pytest.mark.parametrize(
    ("data", "cut", "charset", "text"),
    [
        ("grüße".encode(), False, None, "grüße"),
        ("grü".encode()[:-1], True, None, "gr"),
        ("grü".encode()[:-1], False, None, None),
        ("grüße".encode("latin-1"), False, "iso-8859-1", "grüße"),
        ("grüße".encode("latin-1"), False, None, None),
        ("grüße".encode(), False, "no-such-charset", "grüße"),
        (b"aGFsbG8=", False, "base64", None),
        (b"a\0b", False, None, None),
        (b"", False, None, ""),
    ],
)
def test_a_body_is_text_in_its_charset_or_none(data: bytes, cut: bool, charset: str | None, text: str | None) -> None:
    assert body_text(data, cut, charset) == text


def test_what_is_no_text_is_told_by_size_and_digest() -> None:
    assert no_text(b"\xff", False) == f"[no text: 1 bytes, sha256 {DIGEST}]"
    assert no_text(b"\xff", True) == "[no text: more than 1 bytes]"


@pytest.mark.parametrize("text", ["x" * 100, "ü" * 100, "\x01" * 100, '"' * 100, "", "x"])
def test_the_beginning_that_fits_is_as_long_as_it_can_be(text: str) -> None:
    found = fitting(text, 50)

    def size(part: str) -> int:
        return len(json.dumps(part, ensure_ascii=False).encode())

    assert text.startswith(found)
    assert size(found) <= 50
    assert found == text or size(text[: len(found) + 1]) > 50
