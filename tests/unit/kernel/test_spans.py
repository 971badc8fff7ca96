"""Parts of a text that stand in labelled texts alone; each letter is the sign of a token here."""

from backstay.kernel.spans import GAP, Copied, Spans, spans_of
from backstay.kernel.spelling import Kind, Token
from backstay.kernel.tokens import Placed

MAIL = ("untrusted",)


def copied(spans: Spans, string: str) -> list[Copied]:
    return spans.copied(string, [Placed(Token(Kind.WORD, sign), at, at + 1) for at, sign in enumerate(string)])


def test_four_in_a_row_are_copied_and_three_are_not() -> None:
    spans = Spans()
    spans.add("abcdefgh", MAIL)
    assert copied(spans, "xbcdex") == [Copied(1, 5, frozenset(MAIL))]
    assert copied(spans, "xbcdx") == []
    assert copied(spans, "abc") == []


def test_what_overlaps_is_one_part_and_what_does_not_is_two() -> None:
    spans = Spans()
    spans.add("abcdefghijkl", MAIL)
    assert copied(spans, "abcdef") == [Copied(0, 6, frozenset(MAIL))]
    assert copied(spans, "abcdxhijk") == [Copied(0, 4, frozenset(MAIL)), Copied(5, 9, frozenset(MAIL))]


def test_parts_of_other_labels_are_others_although_they_overlap() -> None:
    spans = Spans()
    spans.add("abcde", MAIL)
    spans.add("bcdef", ("private",))
    assert copied(spans, "abcdef") == [
        Copied(0, 4, frozenset(MAIL)),
        Copied(1, 5, frozenset({"untrusted", "private"})),
        Copied(2, 6, frozenset({"private"})),
    ]


def test_what_a_text_without_labels_says_too_is_copied_from_nowhere() -> None:
    spans = Spans()
    spans.add("abcd", MAIL)
    spans.add("abcd")
    spans.add("abcd", MAIL)
    assert copied(spans, "abcd") == []


def test_a_gap_is_copied_by_nobody_and_ends_a_span() -> None:
    spans = Spans()
    spans.add(f"ab{GAP}cd", MAIL)
    assert copied(spans, f"ab{GAP}cd") == []
    assert list(spans_of(f"abc{GAP}d")) == []


def test_spans_that_do_not_count_are_left_out_of_a_text() -> None:
    spans = Spans()
    spans.add("abcdefgh", MAIL)
    spans.add("abcdefgh", without=set(spans_of("abcd")))
    assert copied(spans, "abcdefgh") == [Copied(0, 4, frozenset(MAIL))]


def test_it_weighs_more_with_each_new_span() -> None:
    spans = Spans()
    assert spans.weight == 0
    spans.add("abcde", MAIL)
    once = spans.weight
    spans.add("abcde", MAIL)
    assert spans.weight == once > 0
