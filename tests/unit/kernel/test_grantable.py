import pytest

from backstay.kernel.grantable import Cap, Grantable, RuleText, cap_of, grantable

ONE, TWO = RuleText("a", "sha256:1"), RuleText("b", "sha256:2")


@pytest.mark.parametrize("spec", ["uses:20,hours:8", "hours:8,uses:20", " uses:20 , hours:8 "])
def test_a_cap_names_uses_and_hours(spec: str) -> None:
    assert cap_of(spec) == Cap(20, 8)


@pytest.mark.parametrize(
    "spec",
    [
        *("", "uses:20", "hours:8", "20,8", "uses:20;hours:8", "uses:20,hours:8,", "uses:20,hours:8,uses:30"),
        *("uses:0,hours:8", "uses:20,hours:0", "uses:-1,hours:8", "uses:2.5,hours:8", "uses:020,hours:8"),
        *("uses:20,uses:30", "uses:20,days:8", "Uses:20,hours:8", "uses: 20,hours:8", "uses:\u0662,hours:8"),
        *("uses:1001,hours:8", "uses:20,hours:721", "uses:99999,hours:8"),
    ],
)
def test_what_is_no_cap_allows_nothing(spec: str) -> None:
    assert cap_of(spec) is None


def test_several_rules_allow_together_what_the_strictest_does() -> None:
    both = grantable([(TWO, Cap(5, 48)), (ONE, Cap(20, 8))])
    assert both == Grantable(Cap(5, 8), (ONE, TWO))


def test_one_rule_that_allows_no_grant_is_enough_that_none_may_be_given() -> None:
    assert grantable([(ONE, Cap(20, 8)), (TWO, None)]) is None
    assert grantable([]) is None
