"""The rate of an account: halved by a refusal, raised in steps where nothing more is refused."""

import pytest

from backstay.kernel.quota import DEAF_MS, LONGEST_DEAF_MS, REMEMBERED_MS, STEP_MS, Quota

SET = Quota(600_000, 600_000)
NOW = 1_000_000


def climbed(quota: Quota, until_ms: int) -> Quota:
    """The rate once all steps are taken that are due until then."""
    while (due := quota.next_ms()) is not None and due <= until_ms:
        quota = quota.raised(due)
    return quota


def test_a_rate_that_was_set_is_in_force_and_no_step_is_due() -> None:
    assert (SET.lowered, SET.next_ms(), SET.until_ms()) == (False, None, None)
    assert SET.raised(NOW) is SET


def test_a_refusal_halves_the_rate_at_once() -> None:
    refused = SET.refuse(NOW)
    assert (refused.rate, refused.configured, refused.refused, refused.lowered) == (300_000, 600_000, 600_000, True)
    assert (refused.refusals, refused.last_refusal_ms) == (1, NOW)


def test_a_burst_of_refusals_halves_the_rate_once() -> None:
    burst = SET
    for at in range(NOW, NOW + DEAF_MS, 100):
        burst = burst.refuse(at)
    assert (burst.rate, burst.refusals) == (300_000, DEAF_MS // 100)
    assert burst.refuse(NOW + DEAF_MS).rate == 150_000


@pytest.mark.parametrize(
    ("wait_ms", "deaf_ms"), [(0, DEAF_MS), (20_000, 20_000), (10**9, LONGEST_DEAF_MS)], ids=["none", "some", "long"]
)
def test_refusals_within_the_time_that_the_provider_wants_no_calls_are_of_one_burst(wait_ms: int, deaf_ms: int) -> None:
    refused = SET.refuse(NOW, wait_ms)
    assert refused.refuse(NOW + deaf_ms - 1).rate == 300_000
    assert refused.refuse(NOW + deaf_ms).rate == 150_000


def test_the_rate_is_raised_in_steps_while_nothing_is_refused() -> None:
    refused = SET.refuse(NOW)
    assert refused.next_ms() == NOW + STEP_MS
    assert refused.raised(NOW + STEP_MS - 1) is refused
    assert [climbed(refused, NOW + step * STEP_MS).rate for step in range(1, 4)] == [330_000, 360_000, 390_000]


def test_a_refusal_that_lowers_nothing_puts_the_next_step_off() -> None:
    assert SET.refuse(NOW).refuse(NOW + 4_000).next_ms() == NOW + 4_000 + STEP_MS


def test_the_rate_stays_below_the_one_that_was_refused_until_that_is_long_ago() -> None:
    refused = SET.refuse(NOW)
    assert climbed(refused, NOW + REMEMBERED_MS - 1).rate == 450_000
    later = climbed(refused, NOW + REMEMBERED_MS + 60_000)
    assert (later.rate, later.refused, later.lowered) == (600_000, None, False)


def test_it_tells_when_the_rate_that_was_set_is_in_force_again() -> None:
    refused = SET.refuse(NOW)
    until = refused.until_ms()
    assert until is not None
    assert NOW + REMEMBERED_MS < until < NOW + REMEMBERED_MS + 60_000
    assert climbed(refused, until - 1).lowered
    assert not climbed(refused, until).lowered


def test_the_rate_never_falls_below_a_hundredth_of_the_one_that_was_set() -> None:
    refused = SET
    for number in range(20):
        refused = refused.refuse(NOW + number * LONGEST_DEAF_MS)
    assert refused.rate == 6_000
    assert Quota(1, 1).refuse(NOW).rate == 1


def test_refusals_without_a_rate_are_counted() -> None:
    counted = Quota().refuse(NOW).refuse(NOW + 1)
    assert (counted.rate, counted.refusals, counted.lowered, counted.next_ms()) == (None, 2, False, None)
    assert counted.raised(NOW + REMEMBERED_MS) is counted
