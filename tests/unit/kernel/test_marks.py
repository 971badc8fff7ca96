"""What a tool declares of its results: labels all over, or on fields."""

import pytest

from backstay.kernel.marks import UNKNOWN, Marks, Path, Roles

MAIL = Marks({"untrusted": (), "private": ("body",)}, clean=("id", "sender.address"))


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        (("id",), set()),
        (("subject",), {"untrusted"}),
        (("body",), {"untrusted", "private"}),
        (("sender", "address"), set()),
        (("sender", "name"), {"untrusted"}),
        (("sender.address",), {"untrusted"}),
        (("id", "below"), set()),
        ((), {"untrusted"}),
    ],
)
def test_labels_stand_on_fields_and_clean_ones_are_excepted(path: Path, labels: set[str]) -> None:
    assert MAIL.labels_at(path) == labels


def test_clean_fields_are_no_less_private() -> None:
    assert Marks({"private": ()}, clean=("id",)).labels_at(("id",)) == {"private"}


def test_a_text_has_every_label() -> None:
    assert MAIL.everywhere == {"untrusted", "private"}
    assert Marks().everywhere == frozenset()


def test_a_tool_that_nobody_knows_is_untrusted() -> None:
    assert UNKNOWN.labels_at(("id",)) == {"untrusted"}


def test_an_argument_has_its_role() -> None:
    roles = Roles(targets=("to", "cc"), items=("file",), texts=("body",))
    assert [roles.of(role) for role in ("targets", "items", "texts")] == [("to", "cc"), ("file",), ("body",)]


def test_a_field_has_the_kind_of_its_ids() -> None:
    marks = Marks(ids={"files.id": "file"})
    assert (marks.kind_at(("files", "id")), marks.kind_at(("id",)), marks.kind_at(("files.id",))) == (
        "file",
        None,
        None,
    )
