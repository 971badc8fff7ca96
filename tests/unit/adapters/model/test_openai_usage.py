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


OTHER_PLACES = [
    {"completion_tokens_details": {"reasoning_tokens": 980}},
    {"output_tokens_details": {"reasoning_tokens": 980}},
    {"output_tokens_details": {"thinking_tokens": 980}},
    {"completion_tokens_details": {"rejected_prediction_tokens": 980}},
    {"completion_details": {"reasoning_tokens": 980}},
    {"prompt_tokens_details": {"reasoning_tokens": 980}},
    {"thoughts_token_count": 980},
    {"thoughtsTokenCount": 980},
    {"num_reasoning_tokens": 980},
    {"usage_breakdown": [{"kind": "text"}, {"think-tokens": 980}]},
    {"billing": {"output": {"drafted_tokens": 980}}},
    {"completion_tokens_details": {"planning_tokens": 980}},
    {"hidden_tokens": 980},
    {"reasoning_tokens": 980, "thoughts_token_count": 980, "output_tokens_details": {"reasoning_tokens": 500}},
]


@BOTH
@pytest.mark.parametrize("more", OTHER_PLACES, ids=str)
def test_a_figure_counts_wherever_it_stands_and_whatever_its_name(names: Names, more: dict[str, Any]) -> None:
    assert read_usage({**report(names, 300, 15), **more}, names, SAID) == BilledUsage(
        input_tokens=300, output_tokens=995
    )


@BOTH
@pytest.mark.parametrize(
    "more",
    [
        {"num_tokens": 315},
        {"completion_tokens_details": {"text_tokens": 15, "accepted_prediction_tokens": 4, "reasoning_tokens": 9}},
        {
            "prompt_tokens_details": {"text_tokens": 300},
            "prompt_cache_hit_tokens": 200,
            "prompt_cache_miss_tokens": 100,
        },
        {"server_tool_use": {"web_search_requests": 500}, "num_sources_used": 500, "total_time": 0.5},
        {"completion_tokens_per_second": 45.5, "tokenizer": "o200k", "service_tier": "default"},
        {"max_tokens_remaining": 9_000, "cost": None},
    ],
    ids=str,
)
def test_figures_that_are_part_of_others_or_count_no_tokens_change_no_bill(names: Names, more: dict[str, Any]) -> None:
    assert read_usage({**report(names, 300, 15), **more}, names, SAID) == BilledUsage(
        input_tokens=300, output_tokens=15
    )


@BOTH
def test_of_two_vocabularies_the_larger_figures_count(names: Names) -> None:
    low, high = (300, 15), (310, 995)
    for ours, theirs in ((low, high), (high, low)):
        other = RESPONSES if names == CHAT else CHAT
        both = {**report(names, *ours), other.read: theirs[0], other.written: theirs[1]}
        assert read_usage(both, names, SAID) == BilledUsage(input_tokens=310, output_tokens=995)


@BOTH
def test_input_of_tools_is_counted_beside_the_prompt_unless_a_total_has_it(names: Names) -> None:
    usage = {**report(names, 300, 15), "tool_use_prompt_tokens": 900}
    assert read_usage(usage, names, SAID) == BilledUsage(input_tokens=1_200, output_tokens=15)
    assert read_usage({**usage, "total_tokens": 1_215}, names, SAID) == BilledUsage(input_tokens=300, output_tokens=915)


@BOTH
@pytest.mark.parametrize(
    ("more", "usd"),
    [
        ({"cost": 0.0132}, 13_200),
        ({"cost": "0.0132"}, 13_200),
        ({"cost": 1}, 1_000_000),
        ({"cost": 0, "cost_details": {"upstream_inference_cost": 0.5}}, 500_000),
        ({"cost": {"total_cost": 0.0000001, "output_tokens_cost": 0.00000005}}, 1),
        ({"cost_in_usd_ticks": 10**10 + 1}, 1_000_001),
        ({"totalCost": 2.5}, 2_500_000),
    ],
    ids=str,
)
def test_the_servers_own_sum_is_part_of_the_bill(names: Names, more: dict[str, Any], usd: int) -> None:
    bill = read_usage({**report(names, 300, 15), **more}, names, SAID)
    assert bill == BilledUsage(input_tokens=300, output_tokens=15, usd=usd)


@BOTH
@pytest.mark.parametrize(
    "more",
    [
        {"cost": -1},
        {"cost": "much"},
        {"cost": True},
        {"cost": "NaN"},
        {"cost": 1e300},
        {"hidden_tokens": -1},
        {"output_tokens_details": {"thinking_tokens": "980"}},
        {"cached_prompt_tokens": 301},
        {"prompt_cache_miss_tokens": 900},
    ],
    ids=str,
)
def test_a_figure_that_is_none_or_does_not_fit_makes_no_bill(names: Names, more: dict[str, Any]) -> None:
    assert read_usage({**report(names, 300, 15), **more}, names, SAID) is None


WORDS = st.lists(st.sampled_from(["reasoning", "thinking", "output", "completion", "hidden", "num"]), max_size=3)


@given(st.integers(1, 5_000), st.integers(1, 5_000), COUNTS, WORDS, st.booleans())
def test_no_figure_is_undercut_whatever_its_name(
    read: int, written: int, figure: int, words: list[str], deep: bool
) -> None:
    name = "_".join([*words, "tokens"])
    usage = {**report(CHAT, read, written), **({"details": {name: figure}} if deep else {f"other_{name}": figure})}
    bill = read_usage(usage, CHAT, SAID)
    assert bill is not None
    assert bill.input_tokens + bill.output_tokens >= max(read + written, figure)


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


@BOTH
@pytest.mark.parametrize(
    ("details", "kinds"),
    [
        ({"cache_write_tokens": 60}, {"written_tokens": 60}),
        ({"cache_creation_tokens": 60}, {"written_tokens": 60}),
        ({"cached_tokens": 30, "cache_write_tokens": 60}, {"cached_tokens": 30, "written_tokens": 60}),
        ({"audio_tokens": 40}, {"dear_input_tokens": 40}),
        ({"audio_tokens": 40, "image_tokens": 5, "cached_tokens": 80}, {"dear_input_tokens": 45, "cached_tokens": 55}),
        ({"cache_write_tokens": None, "audio_tokens": 0}, {}),
    ],
    ids=str,
)
def test_input_of_another_kind_is_told_apart(names: Names, details: dict[str, Any], kinds: dict[str, int]) -> None:
    value = {**report(names, 100, 20), f"{names.read}_details": details}
    assert read_usage(value, names, SAID) == BilledUsage(input_tokens=100, output_tokens=20, **kinds)


@BOTH
@pytest.mark.parametrize(
    ("part", "details"),
    [
        ("read", {"cache_write_tokens": 101}),
        ("read", {"cache_write_tokens": 60, "audio_tokens": 60}),
        ("read", {"cache_write_tokens": -1}),
        ("read", {"image_tokens": "5"}),
        ("written", {"audio_tokens": 21}),
        ("written", {"audio_tokens": 1.5}),
    ],
)
def test_kinds_that_do_not_fit_are_no_bill(names: Names, part: str, details: dict[str, Any]) -> None:
    value = {**report(names, 100, 20), f"{getattr(names, part)}_details": details}
    assert read_usage(value, names, SAID) is None


@BOTH
def test_spoken_output_is_of_a_dearer_kind(names: Names) -> None:
    value = {**report(names, 100, 20), f"{names.written}_details": {"audio_tokens": 15}}
    assert read_usage(value, names, SAID) == BilledUsage(input_tokens=100, output_tokens=20, dear_output_tokens=15)


BESIDE = {"cache_creation_input_tokens": 60, "cache_read_input_tokens": 30}


def test_cache_figures_beside_those_of_chat_are_a_part_of_the_input() -> None:
    bill = BilledUsage(input_tokens=100, output_tokens=20, cached_tokens=30, written_tokens=60)
    assert read_usage({**report(CHAT, 100, 20), **BESIDE}, CHAT, SAID) == bill


def test_cache_figures_beside_those_of_responses_come_on_top_unless_the_total_says_otherwise() -> None:
    value = {**report(RESPONSES, 100, 20), **BESIDE}
    on_top = BilledUsage(input_tokens=190, output_tokens=20, cached_tokens=30, written_tokens=60)
    assert read_usage(value, RESPONSES, SAID) == on_top
    inside = BilledUsage(input_tokens=100, output_tokens=20, cached_tokens=30, written_tokens=60)
    assert read_usage({**value, "total_tokens": 120}, RESPONSES, SAID) == inside


def test_what_is_stored_for_an_hour_is_of_a_dearer_kind() -> None:
    value = {**report(CHAT, 100, 20), **BESIDE, "cache_creation": {"ephemeral_1h_input_tokens": 50}}
    assert read_usage(value, CHAT, SAID) == BilledUsage(
        input_tokens=100, output_tokens=20, cached_tokens=30, written_tokens=10, dear_input_tokens=50
    )
