"""What a function is called with: one spelling for all that is equal, and what rules get to see."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, cast

import pytest
from pydantic import AfterValidator, BaseModel, SecretStr

from backstay.adapters.tool.arguments import Arguments
from backstay.contracts.policy import UNHELD
from backstay.contracts.problems import Problem


class Colour(Enum):
    RED = "red"


class Line(BaseModel):
    sku: str
    price: Decimal = Decimal("1.50")


def order(amount: Decimal, when: datetime, tags: set[str], lines: list[Line], note: str | None = None) -> None:
    """Orders."""


def unlock(password: SecretStr) -> None:
    """Unlocks."""


ORDER = Arguments.of("order", order, "here")
GIVEN: dict[str, Any] = {"amount": "120", "when": "2026-01-01T00:00:00Z", "tags": ["a", "b"], "lines": [{"sku": "x"}]}


def identity(arguments: Arguments, given: dict[str, Any]) -> dict[str, Any]:
    values = arguments.typed(given)
    assert isinstance(values, dict)
    return arguments.identity(values, given)


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 120},
        {"amount": "120.00"},
        {"amount": "1.2E2"},
        {"when": "2026-01-01T02:00:00+02:00"},
        {"tags": ["b", "a"]},
        {"lines": [{"sku": "x", "price": "1.5"}]},
        {"note": None},
    ],
    ids=str,
)
def test_arguments_that_are_equal_are_one(other: dict[str, Any]) -> None:
    assert identity(ORDER, {**GIVEN, **other}) == identity(ORDER, GIVEN)


@pytest.mark.parametrize(
    "other",
    [{"amount": "120.01"}, {"when": "2026-01-01T00:00:01Z"}, {"tags": ["a"]}, {"lines": []}, {"note": ""}],
    ids=str,
)
def test_arguments_that_differ_are_two(other: dict[str, Any]) -> None:
    assert identity(ORDER, {**GIVEN, **other}) != identity(ORDER, GIVEN)


def test_an_argument_that_json_cannot_carry_is_hidden_from_rules_but_is_part_of_the_identity() -> None:
    arguments = Arguments.of("unlock", unlock, "here")
    assert arguments.held({"password": SecretStr("a")}) == {"password": UNHELD}
    assert identity(arguments, {"password": "a"}) != identity(arguments, {"password": "b"})


class Place(BaseModel):
    floor: int = 0
    room: str = "lobby"


def move(
    count: int,
    ids: list[int],
    by_name: dict[str, int],
    kind: Literal[1, 2],
    rate: float,
    price: Decimal,
    maybe: int | None = None,
    either: int | str = 7,
    place: Place = Place(),  # noqa: B008
    pair: tuple[int, int] = (1, 2),
    size: int = 3,
    word: str = "none",
) -> None:
    """Moves."""


MOVE = Arguments.of("move", move, "here")
MOVED: dict[str, Any] = {"count": 1, "ids": [], "by_name": {}, "kind": 1, "rate": 1, "price": 1}


@pytest.mark.parametrize(
    ("given", "typed"),
    [
        ({"count": 120000.0}, {"count": 120000}),
        ({"count": 3e0}, {"count": 3}),
        ({"ids": [1.0, 2]}, {"ids": [1, 2]}),
        ({"by_name": {"a": 4.0}}, {"by_name": {"a": 4}}),
        ({"maybe": 5.0}, {"maybe": 5}),
        ({"either": 6.0}, {"either": 6}),
        ({"kind": 2.0}, {"kind": 2}),
        ({"place": {"floor": 2.0}}, {"place": Place(floor=2)}),
        ({"pair": [3.0, 4]}, {"pair": (3, 4)}),
        ({"rate": 1.5, "count": 2.0}, {"rate": 1.5, "count": 2}),
        ({"rate": 2.0}, {"rate": 2.0}),
        ({"count": 2**63 - 1}, {"count": 2**63 - 1}),
    ],
    ids=str,
)
def test_a_whole_number_is_an_integer_where_the_function_wants_one(
    given: dict[str, Any], typed: dict[str, Any]
) -> None:
    values = MOVE.typed({**MOVED, **given})
    assert isinstance(values, dict)
    assert repr({name: values[name] for name in typed}) == repr(typed)


@pytest.mark.parametrize(
    "given",
    [{"count": 1.5}, {"ids": [1.5]}, {"count": 2.0**53}, {"count": "1.0"}, {"count": True}, {"word": 1.0}],
    ids=str,
)
def test_what_is_no_whole_number_is_refused(given: dict[str, Any]) -> None:
    [problem] = cast("list[Problem]", MOVE.typed({**MOVED, **given}))
    assert problem.field.split(".")[0] in given


@pytest.mark.parametrize(
    "given",
    [{"size": None}, {"word": None}, {"place": None}, {"size": None, "word": None, "count": 1.0}, {"either": None}],
    ids=str,
)
def test_null_for_a_parameter_with_a_default_is_its_default(given: dict[str, Any]) -> None:
    assert MOVE.typed({**MOVED, **given}) == MOVE.typed(MOVED)


def test_null_for_a_nested_field_with_a_default_is_its_default() -> None:
    values = MOVE.typed({**MOVED, "place": {"floor": None, "room": "attic"}})
    assert isinstance(values, dict)
    assert values["place"] == Place(room="attic")


def test_null_stays_null_where_it_is_a_value() -> None:
    values = MOVE.typed({**MOVED, "maybe": None})
    assert isinstance(values, dict)
    assert values["maybe"] is None


@pytest.mark.parametrize(
    "given", [{"count": None}, {"ids": [None]}, {"by_name": {"a": None}}, {"price": None}], ids=str
)
def test_null_is_refused_where_a_value_is_needed(given: dict[str, Any]) -> None:
    assert isinstance(MOVE.typed({**MOVED, **given}), list)


def test_mending_changes_nothing_of_what_was_given() -> None:
    given = {**MOVED, "size": None, "ids": [1.0], "place": {"floor": None}}
    before = repr(given)
    MOVE.typed(given)
    assert repr(given) == before


def refund(amount: Decimal, note: str = "", shares: list[Decimal] | None = None) -> None:
    """Refunds."""


REFUND = Arguments.of("refund", refund, "here")
ODD_NUMBERS = ["1_0_0", "１００", "٥", " 5 ", "5\n", "1e1000000", "-1e999999", "1e-400", "0e9999999", "1e309", "1_0.5"]


@pytest.mark.parametrize("text", ODD_NUMBERS)
@pytest.mark.parametrize("place", ["amount", "shares"])
def test_a_text_that_only_python_takes_for_a_number_is_none(text: str, place: str) -> None:
    given: dict[str, Any] = {"amount": "1", place: text if place == "amount" else [text]}
    problems = REFUND.typed(given)
    assert isinstance(problems, list)
    assert all("decimal" in problem.problem for problem in problems)


@pytest.mark.parametrize("text", ODD_NUMBERS)
def test_where_a_text_is_wanted_it_stays_what_it_is(text: str) -> None:
    assert REFUND.typed({"amount": "1", "note": text}) == {"amount": Decimal(1), "note": text}


@pytest.mark.parametrize(
    "text", ["100", "-0.50", "+7", "1e3", "1E-7", "99999999999999999999", "123456789012345678.123456789"]
)
def test_a_number_written_as_text_reaches_the_tool_exactly(text: str) -> None:
    assert REFUND.typed({"amount": text}) == {"amount": Decimal(text)}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1", "1.00", True),
        ("1e2", "100", True),
        ("-0.0", "0", True),
        ("100.00000000000000000000000000000001", "100", False),
        ("12345678901234567890123456789012345", "12345678901234567890123456789012346", False),
        ("1e308", "1e307", False),
        ("1e1000000", "1e1000001", False),
        ("10e999999", "1e1000000", True),
        ("1e-1000000", "10e-1000001", True),
    ],
)
def test_equal_numbers_have_one_identity_however_long_they_are(one: str, other: str, same: bool) -> None:
    first, second = (REFUND.identity({"amount": Decimal(text)}, {})["amount"] for text in (one, other))
    assert (first == second) == same
    assert len(first) < 400


@pytest.mark.parametrize(
    ("hint", "plain"),
    [
        (str, True),
        (int | None, True),
        (list[dict[str, float]], True),
        (Literal["a", 1, None], True),
        (list, False),
        (Decimal, False),
        (Line, False),
        (list[Line] | None, False),
        (Annotated[str, AfterValidator(str.upper)], False),
        (set[str], False),
        (Literal[Colour.RED], False),
    ],
    ids=str,
)
def test_arguments_are_plain_where_no_code_of_the_agent_reads_them(hint: Any, plain: bool) -> None:
    def paint(what: Any, how: str = "well") -> None:
        """Paints."""

    paint.__annotations__["what"] = hint
    assert Arguments.of("paint", paint, "here").plain is plain
