"""Money is exact: it is written as it is read, and a price never rounds in the run's favour."""

import re
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.kernel.money import MICRO, MoneyError, format_usd, parse_usd
from backstay.kernel.price import TOKENS_PER_PRICE, Price, Usage

from .strategies import PRICES, usages

pytestmark = pytest.mark.soak

PLAIN = re.compile(r"[0-9]{1,24}(\.(?=[0-9])[0-9]{0,6}0*)?")
BOUNDS = st.integers(0, 3_000)


@given(st.integers(0, 10**30 - 1))
def test_every_amount_is_read_as_it_is_written(micros: int) -> None:
    assert parse_usd(format_usd(micros)) == micros


@given(st.integers(1, 10**30 - 1))
def test_an_amount_below_zero_is_written_with_its_sign_and_never_read(micros: int) -> None:
    text = format_usd(-micros)
    assert text == "-" + format_usd(micros)
    with pytest.raises(MoneyError):
        parse_usd(text)


@given(st.from_regex(r"[0-9]{1,24}(\.[0-9]{1,6}0{0,20})?", fullmatch=True).filter(str.isascii))
def test_a_plain_decimal_is_read_exactly(text: str) -> None:
    assert parse_usd(text) == Fraction(text) * MICRO


@given(st.text() | st.decimals().map(str) | st.floats().map(repr) | st.text("0123456789.eE+-_ ", max_size=12))
def test_any_other_text_is_refused_and_never_rounded(text: str) -> None:
    try:
        micros = parse_usd(text)
    except MoneyError:
        assert not PLAIN.fullmatch(text)
    else:
        assert PLAIN.fullmatch(text)
        assert micros == Fraction(text) * MICRO


@given(PRICES, usages())
def test_a_cost_is_the_exact_one_rounded_up_to_the_next_micro_dollar(price: Price, usage: Usage) -> None:
    reached = [tier for tier in price.tiers if tier.above == 0 or usage.input_tokens > tier.above]
    highest = max(tier.above for tier in reached)
    tier = next(tier for tier in reached if tier.above == highest)
    exact = Fraction(tier.input, TOKENS_PER_PRICE) * (usage.input_tokens - usage.cached_tokens)
    exact += Fraction(tier.cached_input, TOKENS_PER_PRICE) * usage.cached_tokens
    exact += Fraction(tier.output, TOKENS_PER_PRICE) * usage.output_tokens
    assert 0 <= price.cost(usage) - exact < 1


@settings(max_examples=4 * settings().max_examples)
@given(PRICES, BOUNDS, BOUNDS, st.data())
def test_no_bill_within_the_bounds_exceeds_the_worst_case(
    price: Price, most_input: int, most_output: int, data: st.DataObject
) -> None:
    usage = data.draw(usages(most_input, most_output))
    assert price.cost(usage) <= price.worst_case(most_input, most_output)


@given(PRICES, st.integers(0, 100_000), BOUNDS)
def test_the_affordable_output_is_the_greatest_that_fits(price: Price, usd: int, read: int) -> None:
    output = price.affordable_output(usd, read)
    if output is None:
        assert price.worst_case(read, 10**9) <= usd
    elif output < 0:
        assert price.worst_case(read, 0) > usd
    else:
        assert price.worst_case(read, output) <= usd < price.worst_case(read, output + 1)
