"""The values of a result, with the names that lead to them."""

import pytest

from backstay.kernel.leaves import Leaf, leaves_in, leaves_of


def plain(text: str) -> list[Leaf]:
    """The values without the objects that hold them."""
    return [one._replace(inside=()) for one in leaves_of(text) or []]


def test_each_value_has_the_names_that_lead_to_it_and_no_place_in_a_list() -> None:
    text = '{"mails": [{"id": 7, "from": {"name": "Ann"}}, {"id": 8.5, "read": true, "tag": null}]}'
    assert plain(text) == [
        Leaf(("mails", "id"), "7", number=True),
        Leaf(("mails", "from", "name"), "Ann"),
        Leaf(("mails", "id"), "8.5", number=True),
    ]


def test_values_of_one_object_know_each_other() -> None:
    first, inner, other = leaves_of('{"mails": [{"id": 7, "from": {"name": "Ann"}}, {"id": 8}]}') or []
    assert inner.inside[:2] == first.inside
    assert len(inner.inside) == 3
    assert other.inside[0] == first.inside[0]
    assert other.inside[1] != first.inside[1]


def test_a_name_that_no_program_gives_is_a_value_too() -> None:
    assert plain('{"eve@evil.example": 1}') == [
        Leaf(("eve@evil.example",), "eve@evil.example"),
        Leaf(("eve@evil.example",), "1", number=True),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "plain words",
        "12",
        '"a text"',
        "",
        '{"id": 7, "body": "cut off',
        '{"id": 7, "id": 8}',
        '{"a":' * 150 + "1" + "}" * 150,
        "[" * 100_000,
    ],
)
def test_what_cannot_be_read_in_one_way_only_is_plain_text(text: str) -> None:
    assert leaves_of(text) is None


def test_arguments_that_nest_too_deeply_are_refused() -> None:
    value: object = "deep"
    for _ in range(150):
        value = [value]
    with pytest.raises(ValueError, match="nests too deeply"):
        list(leaves_in(value))
