"""The options of `@tool`: what they mean, and what they refuse."""

from decimal import Decimal
from typing import Any

import pytest

from backstay.adapters.tool.function import tool_of
from backstay.errors import ConfigurationError
from backstay.kernel.marks import Marks, Roles
from backstay.tools.declare import ToolOptions, options_of, seconds, tool


async def pay(amount: int) -> str:
    """Pays."""
    return str(amount)


def test_a_tool_shares_its_effect_for_a_day_unless_told_otherwise() -> None:
    spec = tool_of("pay", tool(dedupe="tenant")(pay)).spec
    assert (spec.dedupe, spec.dedupe_window) == ("tenant", 86_400.0)
    assert tool_of("pay", tool(dedupe="run", dedupe_window="90s")(pay)).spec.dedupe_window == 90.0


def test_a_tool_shares_nothing_unless_told_to() -> None:
    assert tool_of("pay", tool(pay)).spec.dedupe is None


def test_a_run_notices_where_the_scope_has_changed() -> None:
    digests = {tool_of("pay", tool(dedupe=scope)(pay)).spec.digest for scope in (None, "run", "tenant")}
    assert len(digests) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"dedupe": "world"},
        {"dedupe": "tenant", "effect": "read"},
        {"dedupe": "tenant", "dedupe_window": "soon"},
        {"dedupe": "tenant", "dedupe_window": "9999d"},
        {"effect": "maybe"},
        {"timeout": "soon"},
        {"cost": "five cents"},
        {"cost": 0.05},
        {"secrets": "SHOP_TOKEN"},
        {"secrets": ["SHOP TOKEN"]},
        {"untrusted": "body"},
        {"untrusted": True, "clean": "id"},
        {"clean": ["id"]},
        {"labels": {"Private": True}},
        {"labels": {"model": True}},
        {"labels": {"private": "body"}},
        {"names": "name"},
        {"targets": "to"},
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        tool(**options)(pay)


def test_a_bare_tool_is_done_once_and_has_every_default() -> None:
    assert options_of(tool(pay)) == ToolOptions()
    assert ToolOptions().effect == "once"


def test_a_mark_leaves_the_function_as_it_was() -> None:
    assert tool(effect="write")(pay) is pay


def test_a_function_without_a_mark_is_no_tool() -> None:
    def plain() -> None: ...

    assert options_of(plain) is None


def test_only_a_function_can_be_marked() -> None:
    with pytest.raises(ConfigurationError, match="`@tool` can only mark functions"):
        tool(object())  # pyright: ignore[reportCallIssue, reportArgumentType]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("500ms", 0.5), ("30s", 30.0), (" 10 m ", 600.0), ("24h", 86_400.0), ("1d", 86_400.0), ("1.5s", 1.5)],
)
def test_a_duration_is_read_as_seconds(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "30", "0s", "-1s", "1 week", "1s1s", "\u0663s x"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no duration"):
        seconds(text)


def test_a_tool_says_what_its_calls_add_to_meters() -> None:
    def refund(amount: Decimal, fee: Decimal = Decimal("0.5")) -> str:
        """Refunds."""
        return str(amount + fee)

    made = tool_of("refund", tool(exposure={"paid": lambda amount, fee: amount + fee, "refunds": lambda: 1})(refund))
    assert made.spec.exposure == ["paid", "refunds"]
    assert made.exposure({"amount": Decimal(2), "fee": Decimal(1)}) == {"paid": Decimal(3), "refunds": 1}
    assert made.exposure({"amount": Decimal(2)}) == {"paid": Decimal("2.5"), "refunds": 1}


def test_a_run_notices_where_a_tool_counts_something_else() -> None:
    def one() -> int:
        return 1

    declared = (None, {"a": one}, {"a": one, "b": one})
    digests = {tool_of("pay", tool(exposure=meters)(pay)).spec.digest for meters in declared}
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("exposure", "told"),
    [
        (["refunds"], "a function for each of at most 10 meters"),
        ({str(number): pay for number in range(11)}, "at most 10 meters"),
        ({"refunds usd": lambda: 1}, "`refunds usd` is no name of a meter"),
        ({"_refunds": lambda: 1}, "no name of a meter"),
        ({"refunds": 1}, "`refunds` is no plain function"),
        ({"refunds": pay}, "`refunds` is no plain function"),
    ],
)
def test_what_cannot_be_counted_is_refused_where_it_is_declared(exposure: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        tool(exposure=exposure)


def test_a_meter_may_only_read_arguments_of_its_tool() -> None:
    with pytest.raises(ConfigurationError, match="the exposure `refunds` of `pay` names `amuont`") as refused:
        tool_of("pay", tool(exposure={"refunds": lambda amuont: amuont})(pay))
    assert refused.value.mend == "the arguments of `pay` are: `amount`"
    assert "test_declare.py:" in (refused.value.where or "")


class TestMarks:
    """What a tool says of its results and arguments."""

    def test_a_tool_says_nothing_of_its_results_unless_told_to(self) -> None:
        spec = tool_of("pay", tool(pay)).spec
        assert (spec.untrusted, spec.marked, spec.roles) == (False, Marks(), Roles())

    def test_untrusted_results_are_labelled_but_for_their_clean_fields(self) -> None:
        spec = tool_of("pay", tool(untrusted=True, clean=["id"], names=["title"], names_result="amount")(pay)).spec
        assert spec.untrusted
        assert spec.marked == Marks({"untrusted": ()}, ("id",), ("title",), "amount")

    def test_labels_stand_on_all_fields_or_on_those_that_are_named(self) -> None:
        spec = tool_of("pay", tool(untrusted=["body"], labels={"private": True, "secret": False})(pay)).spec
        assert spec.untrusted
        assert spec.marked == Marks({"private": (), "untrusted": ("body",)})

    def test_arguments_have_roles(self) -> None:
        spec = tool_of("pay", tool(items=["amount"], ids={"amount": "sum"})(pay)).spec
        assert (spec.roles, spec.marked.ids) == (Roles(items=("amount",)), {"amount": "sum"})

    @pytest.mark.parametrize(
        ("options", "what"),
        [
            ({"targets": ["to"]}, "`targets` of `pay` names `to`"),
            ({"names_result": "url"}, "`names_result` of `pay` names `url`"),
            ({"targets": ["amount"], "texts": ["amount"]}, "`amount` of `pay` stands in `targets` and `texts`"),
        ],
        ids=str,
    )
    def test_a_role_names_an_argument_and_an_argument_one_role(self, options: dict[str, Any], what: str) -> None:
        with pytest.raises(ConfigurationError, match=what):
            tool_of("pay", tool(**options)(pay))
