"""Docstrings are read as people read them, and a field that nobody explained is an error."""

import pytest

from docs.generate.documented import UndocumentedError, attributes, documented, prose


class Base:
    """Holds one thing.

    Attributes:
        first: is explained
            over two lines.
    """


class Child(Base):
    """Holds more.

    In a second
    paragraph.

    Attributes:
        second: is `quoted`.

    Raises:
        third: is none of them.
    """


def test_a_class_is_explained_by_its_own_lines_and_those_of_its_bases() -> None:
    assert attributes(Child) == {"first": "Is explained over two lines.", "second": "Is `quoted`."}


def test_prose_ends_where_the_sections_begin() -> None:
    assert prose(Child) == "Holds more.\n\nIn a second paragraph."


def test_a_field_without_a_line_is_named_with_its_class() -> None:
    with pytest.raises(UndocumentedError, match=r"Child: write a line for `third`, `fourth` under `Attributes:`"):
        documented(Child, ["first", "third", "fourth"])
