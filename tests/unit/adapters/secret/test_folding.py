"""A text is read in every way that a writer may have meant it, and each sign is found where it stood."""

import pytest

from backstay.adapters.secret.folding import small, views


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a\\/b\\\\c\\'", "a/b\\c'"),
        ("\\u002B\\u002b\\U002b\\x2B\\X2b\\053\\u{2b}", "+++++++"),
        ("\\U0001F600\\ud83d\\ude00\\uD83D\\uDE00", "😀😀😀"),
        ("\\U7fffffff", "\U0010ffff"),
        ("\\xc3\\xa4\\xe4\\303\\244", "äää"),
        ("\\t\\0\\n\\r  x", "x"),
        ("&#43;&#x2B;&#X2b;&plus;&amp;&#43", "++++&+"),
        ("%2B%2b%C3%A4%E4%u002b", "++ää+"),
        ("%252B%25252b&amp;#43;", "+++"),
        ("=2B=C3=A4=\r\n=\nx", "+äx"),
        ("a\n  b\r\n\tc\u200bd\u00ade\ufe0f", "abcde"),
        ("100% & x = y \\ z", "100% & x = y \\ z"),
    ],
)
def test_an_escape_is_read_as_the_sign_that_it_stands_for(text: str, read: str) -> None:
    assert read in [view.text for view in views(text)]


@pytest.mark.parametrize(
    ("text", "kept"), [("key=abcd%2B", "key=abcd+"), ("C:\\token%2B", "C:\\token+"), ("50%ab\\/", "50%ab/")]
)
def test_what_may_stand_before_a_secret_is_also_read_as_it_is(text: str, kept: str) -> None:
    assert kept in [view.text for view in views(text)]


@pytest.mark.parametrize(
    "text", ["x %2B%C3%A4 y", "x \\u002b&auml; y", "x &#37;2B=C3=A4 y", "x \n+\u200b\n ä y", "x +ä y"]
)
def test_a_sign_is_found_where_it_stood(text: str) -> None:
    [view] = [view for view in views(text) if "+ä" in view.text]
    at = view.text.index("+ä")
    start, end = view.origin(at, at + 2)
    assert text[:start].strip() == "x"
    assert text[end:].strip() == "y"


def test_no_reading_comes_twice_and_a_plain_text_has_one() -> None:
    texts = [view.text for view in views("a\\u0026amp;%26\n=26")]
    assert len(texts) == len(set(texts))
    assert [view.text for view in views("nothing to undo")] == ["nothing to undo"]


@pytest.mark.parametrize("text", ["ABCÄÖ", "İstanbul ΣΑΣ", "STRASSE ß"])
def test_small_letters_are_as_many_as_the_capitals_and_the_same_alone(text: str) -> None:
    assert len(small(text)) == len(text)
    assert small(text) == "".join(small(sign) for sign in text)
