"""What a model call costs, and what it may cost at most."""

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
