"""What a model call costs, and what it may cost at most."""

from dataclasses import replace

import pytest

from backstay.kernel.price import Price, Tier, Usage

FLAT = Price((Tier(0, input=250_000, cached_input=25_000, output=2_000_000),))
TIERED = Price((Tier(0, 1_000_000, 100_000, 2_000_000), Tier(1_000, 2_000_000, 200_000, 1_500_000)))
DEAR_CACHE = Price((Tier(0, 1_000_000, 3_000_000, 0),))
FREE = Price((Tier(0, 0, 0, 0),))


@pytest.mark.parametrize(
    ("price", "usage", "micros"),
    [
        (FLAT, Usage(0, 0), 0),
        (FLAT, Usage(1, 0), 1),  # a quarter of a micro-dollar, rounded up
        (FLAT, Usage(4, 0), 1),
        (FLAT, Usage(1_000_000, 1_000_000), 2_250_000),
        (FLAT, Usage(1_000_000, 0, cached_tokens=1_000_000), 25_000),
        (TIERED, Usage(1_000, 10), 1_020),  # the dearer tier begins above its figure
        (TIERED, Usage(1_001, 10), 2_017),
        (DEAR_CACHE, Usage(10, 5, cached_tokens=10), 30),
        (FREE, Usage(10**6, 10**6, 10**6), 0),
    ],
)
def test_a_call_costs_its_tokens_rounded_up(price: Price, usage: Usage, micros: int) -> None:
    assert price.cost(usage) == micros


@pytest.mark.parametrize(
    ("price", "tokens", "micros"),
    [
        (FLAT, (1_000_000, 1_000_000), 2_250_000),  # nothing is cached
        (TIERED, (1_000, 10), 1_020),
        (TIERED, (1_001, 10), 2_022),  # the input of one tier, the output of the other
        (DEAR_CACHE, (10, 5), 30),
        (FREE, (10**6, 10**6), 0),
    ],
)
def test_the_worst_case_takes_the_dearest_of_every_tier_in_reach(
    price: Price, tokens: tuple[int, int], micros: int
) -> None:
    assert price.worst_case(*tokens) == micros


@pytest.mark.parametrize(
    ("price", "usd", "read", "output"),
    [
        (FLAT, 10, 0, 5),
        (FLAT, 10, 4, 4),  # the input takes one micro-dollar
        (FLAT, 10, 40, 0),
        (FLAT, 9, 40, -1),  # not even the input is covered
        (DEAR_CACHE, 30, 10, None),
        (DEAR_CACHE, 29, 10, -1),
        (FREE, 0, 10**9, None),
    ],
)
def test_money_covers_so_much_output_after_the_input(price: Price, usd: int, read: int, output: int | None) -> None:
    assert price.affordable_output(usd, read) == output


KINDS = Price((Tier(0, 1_000_000, 100_000, 10_000_000, 1_250_000, 32_000_000, 64_000_000),))


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (Usage(100, 10), 200),
        (Usage(100, 10, cached_tokens=50), 155),
        (Usage(100, 10, written_tokens=40), 210),
        (Usage(100, 10, cached_tokens=50, written_tokens=40), 165),
        (Usage(100, 10, dear_input_tokens=10), 510),
        (Usage(100, 10, dear_output_tokens=5), 470),
    ],
)
def test_each_kind_of_tokens_has_its_price(usage: Usage, cost: int) -> None:
    assert KINDS.cost(usage) == cost


def test_a_kind_without_a_price_costs_as_much_as_plain_tokens() -> None:
    plain = Price((Tier(0, 1_000_000, 1_000_000, 10_000_000),))
    kinds = Usage(100, 10, written_tokens=40, dear_input_tokens=10, dear_output_tokens=5)
    assert plain.cost(kinds) == plain.cost(Usage(100, 10))


def test_a_hold_covers_input_that_is_all_written_to_a_cache() -> None:
    assert KINDS.worst_case(100, 10) == KINDS.cost(Usage(100, 10, written_tokens=100)) == 225
    assert KINDS.affordable_output(225, 100) == 10


@pytest.mark.parametrize(
    ("mine", "theirs", "exceeds"),
    [
        (Price((Tier(0, 5, 1, 9),)), Price((Tier(0, 5, 1, 9),)), False),
        (Price((Tier(0, 6, 1, 2),)), Price((Tier(0, 5, 1, 9),)), True),
        (Price((Tier(0, 1, 1, 10),)), Price((Tier(0, 5, 1, 9),)), True),
        (Price((Tier(0, 1, 1, 1), Tier(100, 9, 1, 1))), Price((Tier(0, 5, 1, 9),)), True),
        (Price((Tier(0, 4, 1, 1),)), Price((Tier(0, 5, 1, 9), Tier(100, 9, 1, 9))), False),
    ],
)
def test_a_price_exceeds_another_where_some_call_may_cost_more(mine: Price, theirs: Price, exceeds: bool) -> None:
    assert mine.exceeds(theirs) is exceeds


def test_a_price_of_each_call_counts_in_the_bill_the_worst_case_and_what_is_left_for_output() -> None:
    each = Price((Tier(0, 1_000_000, 1_000_000, 2_000_000),), call=70)
    none = replace(each, call=0)
    assert each.cost(Usage(10, 5)) == none.cost(Usage(10, 5)) + 70
    assert each.worst_case(10, 5) == none.worst_case(10, 5) + 70
    assert (each.affordable_output(100, 10), none.affordable_output(100, 10)) == (10, 45)
    assert each.exceeds(none)
    assert not none.exceeds(each)
