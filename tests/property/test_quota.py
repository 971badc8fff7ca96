"""Whatever a provider refuses, and whenever: the rate stays between nothing and what was set, and comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.kernel.quota import Quota

rates = st.integers(1, 10**10)
pauses = st.lists(st.tuples(st.integers(0, 120_000), st.booleans(), st.integers(0, 60_000)), max_size=60)


@given(rates, pauses)
def test_a_rate_is_never_above_what_was_set_and_comes_back_when_nothing_is_refused(
    rate: int, told: list[tuple[int, bool, int]]
) -> None:
    quota, now = Quota(rate, rate), 0
    for pause, refused, wait in told:
        now += pause
        before = quota
        quota = quota.refuse(now, wait) if refused else quota.raised(now)
        assert quota.rate is not None
        assert 1 <= quota.rate <= rate
        assert quota.rate >= (before.rate or 0) // 2
    until = quota.until_ms()
    while (due := quota.next_ms()) is not None:
        quota = quota.raised(due)
    assert quota.rate == rate
    assert (until is None) or until <= now + 3_600_000


@pytest.mark.parametrize("times", [1.2, 1.5, 2, 3, 10])
@pytest.mark.parametrize("burst", [1, 10, 60])
def test_a_rate_that_is_set_too_high_settles_below_the_providers_within_two_minutes_of_its_first_refusal(
    times: float, burst: int
) -> None:
    provider = 60_000
    quota = Quota(int(provider * times), int(provider * times))
    left, owed, first, seen = float(burst), 0.0, 0, []
    for now in range(0, 900_000, 50):
        left = min(burst, left + provider / 60_000_000 * 50)
        owed += (quota.rate or 0) / 60_000_000 * 50
        while owed >= 1:
            owed -= 1
            if left >= 1:
                left -= 1
            else:
                first = first or now
                quota = quota.refuse(now, 1_000)
        quota = quota.raised(now)
        if first and first + 120_000 <= now < first + 480_000:
            seen.append(quota.rate or 0)
    assert max(seen) <= provider * 1.01
    assert min(seen) >= provider // 2
    assert quota.refusals < 90
