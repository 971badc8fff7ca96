"""What is measured of a side comes from the books, the bill and the ends of its runs."""

from backstay.compare.books import Entry
from backstay.compare.measure import ANSWERED, CUT_OFF, Bill, End, measured


def effect(run: str, tool: str = "send_email", args: str = "{}", *, risky: bool = False) -> Entry:
    return Entry(run, tool, args, effect=True, risky=risky)


def read(run: str) -> Entry:
    return Entry(run, "lookup_order", "{}", effect=False, risky=False)


def test_reads_are_calls_and_no_effects() -> None:
    side = measured({"a": End(ANSWERED)}, [read("a"), read("a"), effect("a")], Bill())
    assert (side.tool_calls, side.effects, side.duplicates) == (3, 1, 0)


def test_the_same_effect_of_one_run_is_a_duplicate_and_that_of_another_run_is_not() -> None:
    side = measured({"a": End(ANSWERED), "b": End(ANSWERED)}, [effect("a"), effect("a"), effect("b")], Bill())
    assert side.duplicates == 1
    assert side.spoiled == (True, False)


def test_outcomes_differ_by_what_was_done_and_how_often_and_not_by_its_order() -> None:
    refund = "issue_refund"
    entries = [effect("a"), effect("a", refund), effect("b", refund), effect("b"), effect("c"), effect("c")]
    ends = {run: End(ANSWERED) for run in "abcd"}
    assert measured(ends, entries, Bill()).distinct_outcomes == 3


def test_a_risk_an_end_of_no_use_and_an_end_by_the_harness_spoil_a_run() -> None:
    ends = {"a": End(ANSWERED), "b": End("said nothing", known=False), "c": End(CUT_OFF), "d": End(ANSWERED)}
    side = measured(ends, [effect("a", risky=True)], Bill())
    assert side.spoiled == (True, True, True, False)
    assert (side.risky_effects, side.unnamed, side.cut_off) == (1, 1, 1)


def test_the_end_of_one_run_is_told_whole_and_those_of_many_are_counted() -> None:
    one = measured({"a": End(CUT_OFF, "after 60 model calls")}, [], Bill())
    assert one.ended == "ended by the harness after 60 model calls"
    ends = {"a": End("completed"), "b": End("policy_denied", "no-deletion"), "c": End("policy_denied")}
    assert measured(ends, [], Bill()).ended == "policy_denied 2, completed 1"


def test_a_side_is_written_with_money_as_a_decimal_string() -> None:
    side = measured({"a": End("completed")}, [effect("a")], Bill().plus(10_000).plus(3_200))
    assert side.as_json() == {
        "model_calls": 2,
        "tool_calls": 1,
        "usd": "0.0132",
        "risky_effects": 0,
        "duplicates": 0,
        "distinct_outcomes": 1,
        "ended": "completed",
    }
