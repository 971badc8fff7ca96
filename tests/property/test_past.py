"""What results said, for any of them: a value stands where it was said, and a label is never lost."""

import json

from hypothesis import given
from hypothesis import strategies as st

from backstay.kernel.marks import Marks
from backstay.kernel.past import Past, Result
from backstay.kernel.tokens import composed, placed, tokens

MARKS = {"read": Marks({"untrusted": ()}, clean=("id",)), "book": Marks()}
WORDS = st.lists(st.from_regex(r"[a-z]{3,8}", fullmatch=True), min_size=4, max_size=12, unique=True)
ANY = st.text(max_size=60)


def past(*results: Result) -> Past:
    found = Past("the goal", MARKS)
    for one in results:
        found.add(one)
    return found


def said(tool: str, **fields: object) -> Result:
    return Result(tool, True, {}, json.dumps(fields))


@given(ANY, ANY)
def test_any_text_can_be_read_and_asked_for(text: str, value: str) -> None:
    found = past(said("read", body=text), Result("book", False, {"q": value}, text))
    found.places(tokens(value))
    found.copied(placed(composed(value)))


@given(WORDS)
def test_what_outsiders_said_stands_under_their_label_alone(words: list[str]) -> None:
    found = past(said("read", body=" ".join(words)))
    places = found.places(tokens(" ".join(words[1:3])))
    assert (places.fields, places.labels) == (frozenset(), {"untrusted"})


@given(WORDS, st.data())
def test_four_words_in_a_row_are_copied_wherever_they_stand(words: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(words) - 4))
    text = f"dear friend {' '.join(words[at : at + 4])} best wishes"
    [copied] = past(said("read", body=" ".join(words))).copied(placed(text))
    assert " ".join(words[at : at + 4]) in text[copied.start : copied.end]


@given(st.from_regex(r"[a-z]{2,6}@[a-z]{2,6}\.example", fullmatch=True), st.data())
def test_no_piece_of_an_address_stands_anywhere(address: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(address) - 1))
    end = data.draw(st.integers(start + 1, len(address)))
    piece = address[start:end]
    found = past(said("book", id=7, mail=address)).places(tokens(piece))
    assert bool(found.fields) is (piece == address)


@given(
    st.lists(st.sampled_from([said("book", note="one two three four"), said("read", body="one two three four five")]))
)
def test_the_order_of_results_changes_nothing(results: list[Result]) -> None:
    text = placed("one two three four five")
    forth, back = past(*results), past(*reversed(results))
    assert {label for one in forth.copied(text) for label in one.labels} == {
        label for one in back.copied(text) for label in one.labels
    }
    assert forth.places(tokens("three four")) == back.places(tokens("three four"))
