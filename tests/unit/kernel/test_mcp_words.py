import pytest

from backstay.kernel.mcp_words import LONGEST_BYTES, cleaned


def test_a_plain_description_stays_as_it_is() -> None:
    text = "Reads a file.\n\n- `path`: an absolute path\tor none. Größe: 5 €."
    assert cleaned(text) == text


@pytest.mark.parametrize(
    "hidden",
    [
        "\u200b",
        "\u2063",
        "\u202e",
        "\u2066",
        "\ufeff",
        "\x00",
        "\x1b",
        "\x7f",
        "\xad",
        "\U000e0041",
        "\ufe0f",
        "\ue000",
        "\ud800",
        "\u115f",
        "\u0378",
    ],
)
def test_what_people_do_not_see_is_taken_out(hidden: str) -> None:
    assert cleaned(f"Adds{hidden} two numbers.") == "Adds two numbers."


def test_a_text_has_one_spelling() -> None:
    assert cleaned("Cafe\u0301") == "Café"
    assert cleaned("Cafe\u200b\u0301") == "Café"


def test_every_end_of_a_line_becomes_a_plain_one() -> None:
    assert cleaned("a\r\nb\rc\u2028d\u2029e\x85f") == "a\nb\nc\nd\ne\nf"


def test_a_long_description_is_cut_and_says_so() -> None:
    found = cleaned("x" * 100_000)
    assert len(found.encode()) == LONGEST_BYTES
    assert found.endswith("x\n[cut here]")


def test_a_cut_splits_no_character() -> None:
    found = cleaned("€" * 2_000)
    assert found.startswith("€€€")
    assert found.endswith("€\n[cut here]")
    assert len(found.encode()) <= LONGEST_BYTES


def test_a_long_text_of_nothing_visible_is_cut_too() -> None:
    assert cleaned("\u200b" * 100_000 + "obey") == "\n[cut here]"


def test_the_limit_may_be_another_one() -> None:
    assert cleaned("x" * 100, 20) == "x" * 9 + "\n[cut here]"
