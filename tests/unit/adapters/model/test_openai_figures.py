"""The figures of a usage report, sorted by what they count."""

from typing import Any

import pytest

from backstay.adapters.model.openai_figures import Figures, count_of, figures_of


@pytest.mark.parametrize(
    ("report", "figures"),
    [
        ({}, Figures()),
        ({"prompt_tokens": None, "service_tier": "default"}, Figures()),
        ({"prompt_tokens": 5, "cachedTokens": 7}, Figures(read=7)),
        (
            {"completion_tokens": 5, "details": {"output_tokens": 6}},
            Figures(written={"completion_tokens": 5, "output_tokens": 6}),
        ),
        ({"prompt_tokens_details": {"image_tokens": 3}}, Figures(read=3)),
        ({"completion_details": [{"tokens": 3}, {"tokens": 4}]}, Figures(written={"tokens": 4})),
        ({"total_tokens": 9, "totalTokenCount": 12}, Figures(total=12)),
        ({"toolUsePromptTokenCount": 8}, Figures(tools=8)),
        ({"thoughts": 8}, Figures(reasoned=8)),
        ({"billed_tokens": 8, "tokens": 9}, Figures(others=9)),
        ({"tokens": 1.0}, Figures(odd=True)),
        ({"cost": 0.25}, Figures(usd=250_000)),
        ({"cost": []}, Figures()),
        ({"cost": "dear"}, Figures(odd=True)),
    ],
    ids=str,
)
def test_figures_are_sorted_by_their_names_and_places(report: dict[str, Any], figures: Figures) -> None:
    assert figures_of(report) == figures


def test_a_report_that_nests_deep_is_read_in_part() -> None:
    deep: dict[str, Any] = {"tokens": 7}
    for _ in range(900):
        deep = {"more": deep}
    assert figures_of(deep) == Figures()


@pytest.mark.parametrize(("beside", "output"), [(15, 0), (16, 16)])
def test_only_what_cannot_be_inside_the_output_is_beside_it(beside: int, output: int) -> None:
    assert Figures(reasoned=beside).beyond(300, 15) == output
    assert Figures(written={"draft_tokens": beside}).beyond(300, 15) == output
    assert Figures(others=300 + beside).beyond(300, 15) == (300 + output if output else 0)


@pytest.mark.parametrize("value", [-1, True, 1.0, "5", None, 10**15 + 1])
def test_a_count_is_a_whole_number_of_zero_or_more(value: object) -> None:
    assert count_of(value) is None
    assert count_of(5) == 5
