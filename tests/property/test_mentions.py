"""No piece of a value is named by it, and a hostile text costs no more than its length."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.kernel import spelling
from backstay.kernel.mentions import Match, Mentions
from backstay.kernel.spelling import Token
from backstay.kernel.tokens import tokens

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORD = st.text(LETTERS, min_size=3, max_size=8)
ADDRESS = st.builds("{}.{}@{}-{}.com".format, WORD, WORD, WORD, WORD)
NAME = st.builds("{}-{}.{}".format, WORD, WORD, WORD)
LINK = st.builds("https://{}.{}/{}?{}={}".format, WORD, WORD, WORD, WORD, WORD)
NUMBER = st.integers(10_000, 999_999_999).map("{:,}".format)
VALUES = st.one_of(ADDRESS, NAME, LINK, NUMBER)
DIGIT = st.integers(100, 999)
TYPED = st.one_of(
    VALUES,
    st.dates().map(str),
    st.dates().map("{:%d.%m.%Y}".format),
    st.dates().map("{:%m/%d/%Y}".format),
    st.dates().map("{:%Y%m%d}".format),
    st.builds("{}.{},{:02}".format, DIGIT, DIGIT, st.integers(1, 99)),
    st.builds("{}.{}".format, DIGIT, DIGIT),
    st.builds("{}'{}.50".format, DIGIT, DIGIT),
    st.builds("{}\u202f{},50".format, DIGIT, DIGIT),
    st.builds("DE89 3704 0044 0{} {}0 00".format, DIGIT, DIGIT),
    st.builds("+49 (0)30 {}-{}1".format, DIGIT, DIGIT),
    st.builds("({}) {}-1234".format, DIGIT, DIGIT),
    st.builds("4{} 1{} 1111 1111".format, DIGIT, DIGIT),
    st.builds("{}.{}.{}".format, DIGIT, DIGIT, DIGIT),
    st.builds("10.{}.0.1".format, st.integers(10, 255)),
    st.builds("{}-{}/{}".format, DIGIT, DIGIT, DIGIT),
    st.builds('"{} {}.pdf"'.format, WORD, WORD),
)


@given(VALUES, st.sampled_from(["", "to ", '"', "(", "**", "'"]), st.sampled_from(["", ".", ", please", '"', ")", "!"]))
def test_a_whole_value_is_named_wherever_it_stands(value: str, before: str, after: str) -> None:
    assert Mentions(f"Send {before}{value}{after}").of_text(value) is Match.FULL


@given(VALUES, st.data())
def test_no_piece_of_a_value_is_named(value: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(value) - 1))
    end = data.draw(st.integers(start + 1, len(value)))
    piece = value[start:end]
    whole = [token.text for token in tokens(value)]
    if [token.text for token in tokens(piece)] != whole:
        assert Mentions(f"Use {value} now").of_text(piece) is Match.NONE


@given(TYPED, st.data())
def test_a_piece_is_never_sure_unless_it_is_another_spelling_of_the_whole(value: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(value) - 1))
    piece = value[start : data.draw(st.integers(start + 1, len(value)))]
    mentions = Mentions(f"Pay {value} now")
    if set(mentions_of(piece)) - set(mentions_of(value)):
        assert mentions.of_text(piece) is not Match.FULL, piece
    number = spelling.number(piece)
    if number is not None and number not in mentions_of(value):
        assert mentions.of_amount(piece) is not Match.FULL, piece


def mentions_of(value: str) -> list[Token]:
    return [meaning for token in tokens(value) for meaning in token.meanings()]


@given(st.text(max_size=200))
def test_any_text_is_read_and_names_what_it_is(text: str) -> None:
    mentions = Mentions(text)
    if text.isascii() and text.isprintable() and tokens(text) and not set(text) & set("*?|^`"):
        assert mentions.of_text(text) is not Match.NONE


@given(st.text("ab1.,:;-/@ '%=?(é+", max_size=60))
def test_a_text_of_signs_is_read_the_same_twice(text: str) -> None:
    assert tokens(text) == tokens(text + " ")


HOSTILE = [
    *("a ", "a=", "a.", "a@", "@", "1,", "1:", "a'", "'", "de11", "de11 ", "-", "+1 ", "may ", "1 may ", "http:", "a+"),
    *(
        "a://",
        "e\u0301",
        "\u0301\u0327",
        "9999 ",
        "1-",
        "10:10 ",
        ".",
        "(",
        "a.b:1 ",
        "a/=",
        "?",
        "a?",
        "a.b?(",
        "100 ",
        "1.000",
        "12,34",
        "never ",
        ". never ",
        '"a ',
        "'a b' ",
        "`a",
        "00 1",
        "0123 4",
        "1 mio ",
        "EUR1",
        "20240515T",
    ),
]


@pytest.mark.parametrize("prefix", HOSTILE)
def test_a_repeated_prefix_costs_no_more_than_its_length(prefix: str) -> None:
    def seconds(length: int) -> float:
        text = (prefix * length)[:length]
        begin = time.thread_time()
        Mentions(text)
        return time.thread_time() - begin

    # The square of the length would take 64 times as long as an eighth of it; 100 kB take about 0.1 s.
    short = min(seconds(4_000) for _ in range(3))
    assert min(seconds(32_000) for _ in range(2)) < 24 * short + 0.02


def test_a_thousand_labels_against_a_long_goal_cost_milliseconds() -> None:
    goal = " ".join(f"label-{n}" for n in range(3_200))[:32_000]
    begin = time.thread_time()
    mentions = Mentions(goal)
    found = [mentions.of_text(f"label-{n}") for n in range(1_000)]
    missed = [mentions.of_text("label " * 40 + str(n)) for n in range(1_000)]
    assert time.thread_time() - begin < 2.0  # 0.1 on a machine of its own
    assert (set(found), set(missed)) == ({Match.FULL}, {Match.NONE})
