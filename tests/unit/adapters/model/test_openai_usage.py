"""No bill is read too low, however a server words its usage."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.adapters.model.openai_usage import CHAT, RESPONSES, Names, read_usage
from backstay.contracts.decision import BilledUsage, Decision, ProposedCall

SAID = Decision(text="done")
CALLED = Decision(calls=[ProposedCall(call_id="1-0", tool="look", arguments="{}")])
SILENT = Decision()
BOTH = pytest.mark.parametrize("names", [CHAT, RESPONSES], ids=["chat", "responses"])
COUNTS = st.integers(0, 5_000)


def report(names: Names, read: Any, written: Any, **more: Any) -> dict[str, Any]:
    """A usage report; `reasoning` and `cached` go where the API has them."""
    value = {names.read: read, names.written: written}
    if "reasoning" in more:
        value[f"{names.written}_details"] = {"reasoning_tokens": more.pop("reasoning")}
    if "cached" in more:
        value[f"{names.read}_details"] = {"cached_tokens": more.pop("cached")}
    return {**value, **more}


@BOTH
@pytest.mark.parametrize(
    ("figures", "output"),
    [
        ({"read": 300, "written": 15}, 15),
        ({"read": 300, "written": 15, "total_tokens": 315}, 15),
        ({"read": 300, "written": 15, "total_tokens": 315, "reasoning": 10}, 15),
        ({"read": 300, "written": 15, "total_tokens": 1295, "reasoning": 980}, 995),
        ({"read": 300, "written": 15, "reasoning": 980}, 995),
        ({"read": 300, "written": 15, "reasoning_tokens": 980}, 995),
        ({"read": 100, "written": 10, "total_tokens": 450}, 350),
        ({"read": 100, "written": 0, "total_tokens": 460, "reasoning": 360}, 360),
        ({"read": 100, "written": 0, "reasoning": 360}, 360),
        ({"read": 100, "written": 400, "total_tokens": 800, "reasoning": 300}, 700),
        ({"read": 100, "written": 10, "total_tokens": None, "reasoning": None}, 10),
        ({"read": 100, "written": 10, "total_tokens": 700, "reasoning": 400}, 600),
    ],
)
def test_the_output_is_the_largest_that_the_figures_support(names: Names, figures: dict[str, Any], output: int) -> None:
    assert read_usage(report(names, **figures), names, SAID) == BilledUsage(
        input_tokens=figures["read"], output_tokens=output
    )


@BOTH
@pytest.mark.parametrize(
    "figures",
    [
        {"read": 0, "written": 0},
        {"read": 0, "written": 0, "total_tokens": 0},
        {"read": 0, "written": 20},
        {"read": 100, "written": 0},
        {"read": 100, "written": 20, "total_tokens": 110},
        {"read": 100, "written": 20, "total_tokens": 0},
        {"read": 100, "written": 20, "total_tokens": "120"},
        {"read": 100, "written": 20, "total_tokens": -1},
        {"read": 100, "written": 20, "cached": 101},
        {"read": 100, "written": 20, "reasoning": -5},
        {"read": 100, "written": 20, "reasoning": True},
        {"read": 100, "written": 20, "reasoning_tokens": 1.5},
        {"read": None, "written": 20, "total_tokens": 120},
        {"read": 100, "written": None, "total_tokens": 120},
    ],
)
@pytest.mark.parametrize("decision", [SAID, CALLED], ids=["text", "calls"])
def test_figures_that_cannot_be_believed_are_no_bill(names: Names, figures: dict[str, Any], decision: Decision) -> None:
    assert read_usage(report(names, **figures), names, decision) is None


@BOTH
def test_a_reply_that_says_nothing_may_have_written_nothing(names: Names) -> None:
    assert read_usage(report(names, 100, 0), names, SILENT) == BilledUsage(input_tokens=100, output_tokens=0)


@BOTH
@pytest.mark.parametrize("table", [[], "none", 7])
def test_details_of_another_shape_are_no_bill(names: Names, table: Any) -> None:
    for part in (names.read, names.written):
        assert read_usage({**report(names, 100, 20), f"{part}_details": table}, names, SAID) is None


@given(COUNTS, COUNTS, st.none() | COUNTS, st.none() | COUNTS, st.none() | COUNTS)
def test_no_figure_of_a_report_is_undercut(
    read: int, written: int, total: int | None, reasoning: int | None, cached: int | None
) -> None:
    value = report(CHAT, read, written, total_tokens=total, reasoning=reasoning, cached=cached)
    bill = read_usage(value, CHAT, SAID)
    if bill is not None:
        assert bill.input_tokens == read > 0
        assert bill.output_tokens >= max(written, (total or 0) - read, reasoning or 0, 1)
        assert bill.cached_tokens == (cached or 0) <= read
