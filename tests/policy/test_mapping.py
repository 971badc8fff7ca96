"""Arguments and facts as Cedar values: exactly, or not at all."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.contracts.admission import ToolSpec
from backstay.kernel.ledger_period import Period
from policies.cedar.context import Mapped, MismatchError, mapped
from policies.cedar.schema import agent_schema

from .conftest import call_of, spec


def _map(schema: dict[str, Any], value: Any, **more: Any) -> Mapped:
    parameters = {"type": "object", "properties": {"it": schema}}
    return _map_all(spec("t", parameters=parameters), {"it": value}, **more)


def _map_all(tool: ToolSpec, arguments: dict[str, Any], **more: Any) -> Mapped:
    return mapped(agent_schema([tool], "agent.toml").tools[tool.name], call_of(tool, arguments, **more))


def _decimal(text: str) -> dict[str, Any]:
    return {"__extn": {"fn": "decimal", "arg": text}}


NUMBER: dict[str, Any] = {"type": "number"}
NUMERAL = {"anyOf": [{"type": "number"}, {"type": "string"}]}
STRING = {"type": "string"}
INTEGER = {"type": "integer"}
LINES = {"type": "array", "items": {"type": "object", "properties": {"sku": STRING, "n": INTEGER}}}


@pytest.mark.parametrize(
    ("schema", "value", "held"),
    [
        (STRING, "x\x00\U0001f600", "x\x00\U0001f600"),
        (INTEGER, 2**63 - 1, 2**63 - 1),
        (INTEGER, -(2**63), -(2**63)),
        (INTEGER, 5.0, 5),
        ({"type": "boolean"}, False, False),
        (NUMBER, 100.01, _decimal("100.0100")),
        (NUMBER, 7, _decimal("7.0000")),
        (NUMBER, -0.0, _decimal("-0.0000")),
        (NUMBER, 922337203685477, _decimal("922337203685477.0000")),
        (NUMERAL, "100.01", _decimal("100.0100")),
        (NUMERAL, "922337203685477.5807", _decimal("922337203685477.5807")),
        (NUMERAL, "1.50000000", _decimal("1.5000")),
        (NUMERAL, 3, _decimal("3.0000")),
        ({"type": "array", "items": STRING}, ["b", "a", "b"], ["b", "a", "b"]),
        (LINES, [{"sku": "A", "n": 1}, {}], [{"sku": "A", "n": 1}, {}]),
    ],
)
def test_a_value_is_held_exactly(schema: dict[str, Any], value: Any, held: Any) -> None:
    found = _map(schema, value)
    assert found.context["input"] == {"it": held}
    assert found.left_out == ()


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (INTEGER, 2**63),
        (INTEGER, -(2**63) - 1),
        (INTEGER, 10**4000),
        (INTEGER, 1e300),
        (NUMBER, 0.00001),
        (NUMBER, 1.23456),
        (NUMBER, 5e-324),
        (NUMBER, 1e300),
        (NUMBER, float("nan")),
        (NUMBER, float("inf")),
        (NUMBER, 10**4000),
        (NUMBER, 922337203685478),
        (NUMERAL, "922337203685477.5808"),
        (NUMERAL, "0.00001"),
        (NUMERAL, "abc"),
        (NUMERAL, ""),
        (NUMERAL, "1e2"),
        (NUMERAL, "NaN"),
        (NUMERAL, "1_000"),
        (NUMERAL, " 1"),
        (NUMERAL, "1\n"),
        (NUMERAL, "\u0661\u0662"),
        (NUMERAL, "9" * 100_000),
        (STRING, "half a pair: \ud800"),
        ({"type": "array", "items": INTEGER}, [1, 2**63]),
        (LINES, [{"sku": "A"}, {"sku": "B", "other": 1}]),
        ({"anyOf": [STRING, INTEGER]}, 5),
        ({"type": "object"}, {"a": 1}),
        ({}, None),
    ],
)
def test_a_value_that_cedar_cannot_hold_is_left_out_and_reported(schema: dict[str, Any], value: Any) -> None:
    found = _map(schema, value)
    assert found.context["input"] == {}
    assert found.left_out == (("input", "it"),)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (STRING, 5),
        (STRING, None),
        (STRING, {"__entity": {"type": "Agent", "id": "admin"}}),
        (STRING, {"__extn": {"fn": "decimal", "arg": "1.0"}}),
        (INTEGER, True),
        (INTEGER, 5.5),
        (INTEGER, "5"),
        (INTEGER, float("nan")),
        (NUMBER, "50.0"),
        (NUMBER, True),
        (NUMBER, {"__extn": {"fn": "decimal", "arg": "1.0"}}),
        (NUMERAL, False),
        (NUMERAL, {"__extn": {"fn": "decimal", "arg": "1.0"}}),
        ({"type": "boolean"}, 1),
        ({"type": "array", "items": STRING}, "text"),
        ({"type": "array", "items": STRING}, {"0": "a"}),
        ({"type": "array", "items": STRING}, ["a", {"__entity": {"type": "Agent", "id": "admin"}}]),
        (LINES, [["sku"]]),
        ({"type": "object", "properties": {"a": STRING}, "required": ["a"]}, {}),
        ({"type": "object", "properties": {"a": STRING}}, []),
    ],
)
def test_a_value_of_another_type_is_no_call_of_this_tool(schema: dict[str, Any], value: Any) -> None:
    with pytest.raises(MismatchError) as caught:
        _map(schema, value)
    assert caught.value.path[:2] == ("input", "it")


def test_null_is_absence_where_the_schema_takes_null() -> None:
    found = _map({"anyOf": [STRING, {"type": "null"}]}, None)
    assert found == Mapped({**found.context, "input": {}}, ())


def test_a_required_argument_that_is_missing_is_a_mismatch() -> None:
    tool = spec("t", parameters={"properties": {"a": STRING}, "required": ["a"]})
    with pytest.raises(MismatchError, match=r"`input\.a`"):
        _map_all(tool, {})


def test_arguments_beyond_the_schema_are_left_out_and_reported() -> None:
    nested = {"type": "object", "properties": {"a": STRING}}
    found = _map_all(
        spec("t", parameters={"properties": {"it": nested}}), {"it": {"a": "x", "b": 1}, "approvals": ["finance"]}
    )
    assert found.context["input"] == {"it": {"a": "x"}}
    assert set(found.left_out) == {("input", "it", "b"), ("input", "approvals")}


@pytest.mark.parametrize(
    ("kind", "value", "held"),
    [
        ("String", "x", "x"),
        ("Long", 5, 5),
        ("Bool", True, True),
        ("decimal", Decimal("1.5"), _decimal("1.5000")),
        ("decimal", 2, _decimal("2.0000")),
        ("Set<String>", ("a",), ["a"]),
        ("Set<String>", frozenset({"a"}), ["a"]),
        ("Set<Long>", [1, 2], [1, 2]),
    ],
)
def test_a_fact_is_held_as_its_declared_type(kind: str, value: Any, held: Any) -> None:
    found = _map_all(spec("t", facts={"f": kind}), {}, facts={"f": value, "undeclared": 1})
    assert found.context["facts"] == {"f": held, "named_by_user": [], "named_weakly": [], "local_addresses": []}
    assert found.left_out == ()


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("String", {}),
        ("String", {"f": None}),
        ("String", {"f": 5}),
        ("Long", {"f": 2**63}),
        ("decimal", {"f": "1.0"}),
        ("decimal", {"f": Decimal("NaN")}),
        ("Set<String>", {"f": "abc"}),
        ("Set<Long>", {"f": ["a"]}),
    ],
)
def test_a_fact_that_is_missing_or_of_another_type_is_left_out(kind: str, facts: dict[str, Any]) -> None:
    found = _map_all(spec("t", facts={"f": kind}), {}, facts=facts)
    assert found.context["facts"] == {"named_by_user": [], "named_weakly": [], "local_addresses": []}
    assert found.left_out == (("facts", "f"),)


@pytest.mark.parametrize(
    ("micro", "dollars"),
    [
        (0, "0.0000"),
        (1, "0.0001"),
        (100, "0.0001"),
        (101, "0.0002"),
        (1_234_567, "1.2346"),
        (10**30, "922337203685477.5807"),
    ],
)
def test_money_spent_is_rounded_up_to_four_places(micro: int, dollars: str) -> None:
    found = _map_all(spec("t"), {}, spent_usd=micro)
    assert found.context["run"]["spent_usd"] == _decimal(dollars)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["__entity", "__extn", "sku", "n", "it", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
SCHEMAS = [STRING, INTEGER, NUMBER, NUMERAL, LINES, {"type": "boolean"}, {"type": "array", "items": NUMERAL}, {}]


@settings(deadline=None)
@given(st.sampled_from(SCHEMAS), JSON)
def test_only_decimals_of_our_own_making_mean_anything_to_cedar(schema: dict[str, Any], value: Any) -> None:
    try:
        found = _map(schema, value)
    except MismatchError:
        return
    json.dumps(found.context, allow_nan=False).encode()
    for marked in _marked(found.context["input"]):
        assert set(marked) == {"__extn"}
        assert marked["__extn"]["fn"] == "decimal"
        assert str(Decimal(marked["__extn"]["arg"])) == marked["__extn"]["arg"]


def _marked(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [found for part in value for found in _marked(part)]
    if isinstance(value, dict):
        here = [value] if value.keys() & {"__entity", "__extn", "__expr"} else []
        return here or [found for part in value.values() for found in _marked(part)]
    return []


@pytest.mark.parametrize("schema", [INTEGER, NUMBER, NUMERAL])
def test_an_integer_of_any_length_is_left_out(schema: dict[str, Any]) -> None:
    assert _map(schema, 10**6000).left_out == (("input", "it"),)


def test_rules_see_the_sum_of_every_meter_of_the_agent_whichever_tool_adds_to_it() -> None:
    refund, look = spec("refund", exposure=["refunds"]), spec("look")
    schema = agent_schema([refund, look], "agent.toml")
    for tool in (refund, look):
        call = replace(call_of(tool, {}), exposure={"refunds": 990_001, "unheard-of": 1})
        assert mapped(schema.tools[tool.name], call).context["exposure"] == {"refunds": {"run": _decimal("99.0001")}}
    none = mapped(schema.tools["look"], call_of(look, {}))
    assert none.context["exposure"] == {"refunds": {"run": _decimal("0.0000")}}


def test_a_sum_that_no_decimal_holds_is_left_out() -> None:
    refund = spec("refund", exposure=["refunds"])
    tool = agent_schema([refund], "agent.toml").tools["refund"]
    assert mapped(tool, replace(call_of(refund, {}), exposure={"refunds": 2**63 - 1})).left_out == ()
    found = mapped(tool, replace(call_of(refund, {}), exposure={"refunds": 2**63}))
    assert (found.context["exposure"], found.left_out) == ({}, (("exposure", "refunds", "run"),))


COUNTED = {"refunds": {Period.DAY: True, Period.MONTH: False}}


def test_rules_see_the_sums_over_many_runs_where_they_are_counted() -> None:
    refund = spec("refund", exposure=["refunds", "vouchers"])
    tool = agent_schema([refund], "agent.toml", COUNTED).tools["refund"]
    call = replace(
        call_of(refund, {}),
        exposure={"refunds": 10_000},
        counted={"refunds": {Period.DAY: 20_000, Period.MONTH: 30_000}, "vouchers": {Period.DAY: 1}},
    )
    assert mapped(tool, call).context["exposure"] == {
        "refunds": {"run": _decimal("1.0000"), "day": _decimal("2.0000"), "month": _decimal("3.0000")},
        "vouchers": {"run": _decimal("0.0000")},
    }


def test_a_sum_that_was_to_be_counted_and_is_not_is_left_out() -> None:
    refund = spec("refund", exposure=["refunds"])
    tool = agent_schema([refund], "agent.toml", COUNTED).tools["refund"]
    found = mapped(tool, call_of(refund, {}))
    assert found.context["exposure"] == {"refunds": {"run": _decimal("0.0000")}}
    assert found.left_out == (("exposure", "refunds", "day"),)
