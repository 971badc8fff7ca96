"""The words for where values come from, over the entries of a list."""

import pytest

from backstay.kernel.origins import MOST_FIELDS, Origin, Origins, TooLongError, combined

ANN = Origin(frozenset({"user", "config:staff"}), trusted=True)
BOB = Origin(frozenset({"config:staff"}), trusted=True)
EVE = Origin(labels=frozenset({"untrusted"}))
NOBODY = Origin()


def test_what_is_left_out_is_none() -> None:
    assert combined([]) == ("none",)


def test_one_value_has_its_words_and_its_labels() -> None:
    both = Origin(frozenset({"user"}), frozenset({"untrusted"}), trusted=True)
    assert combined([both]) == ("trusted", "untrusted", "user")


def test_a_positive_word_holds_for_every_entry() -> None:
    assert combined([ANN, BOB]) == ("config:staff", "trusted")


def test_a_label_holds_for_one_entry_and_ends_trust() -> None:
    assert combined([ANN, EVE]) == ("untrusted",)


def test_what_stands_nowhere_was_made_up() -> None:
    assert combined([ANN, NOBODY]) == ("model",)


def test_a_mixed_list_of_trusted_entries_is_trusted() -> None:
    named = Origin(frozenset({"user"}), trusted=True)
    assert combined([named, BOB]) == ("trusted",)


def test_of_the_fields_that_say_the_same_only_the_first_few_are_listed() -> None:
    fields = frozenset(f"tool:read.f{number:02}" for number in range(30))
    found = combined([Origin(fields | {"user"}, trusted=True)])
    assert found == ("tool:*", *sorted(fields)[:MOST_FIELDS], "trusted", "user")
    few = frozenset(sorted(fields)[:MOST_FIELDS])
    assert combined([Origin(few | {"user"})]) == (*sorted(few), "user")


class TestSize:
    """What a verdict says of origins has to fit an event of the history."""

    LONG = Origins(
        {"to": ("tool:read.f1", "user"), "body": ("model",)},
        parts=("tool:read.f1",),
        copied={"body": ("x",)},
        within={"to": ("tool:read.f1",)},
    )

    def test_what_fits_stays_whole(self) -> None:
        assert self.LONG.fitting(1_000) is self.LONG

    def test_else_one_word_stands_for_all_fields_of_results(self) -> None:
        assert self.LONG.fitting(70) == Origins({"to": ("tool:*", "user"), "body": ("model",)}, parts=("tool:*",))

    def test_what_is_too_long_even_so_is_an_error(self) -> None:
        with pytest.raises(TooLongError, match="more than 10 bytes"):
            self.LONG.fitting(10)

    def test_rules_see_no_quotes(self) -> None:
        assert self.LONG.unquoted().copied == self.LONG.unquoted().within == {}
        assert self.LONG.unquoted().sources == self.LONG.sources
        assert Origins().unquoted() == Origins()
