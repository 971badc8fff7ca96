from collections.abc import Mapping
from dataclasses import replace

import pytest

from backstay.kernel.approval import Approval, ApprovalKind, Refusal
from backstay.kernel.grantable import Cap, Grantable, RuleText
from backstay.kernel.meter import Exposed
from backstay.kernel.terms import Agreed, Terms, agreed

HOUR = 3_600_000
NOW = 1_000 * HOUR
ASKED = Approval(
    "apr_1",
    ApprovalKind.ACTION,
    "1-0",
    "refund",
    "sha256:d",
    ("finance",),
    {"finance": ("ann", "bob")},
    exposure={"refunds_usd": Exposed(0, 1)},
    grantable=Grantable(Cap(20, 8), (RuleText("large", "sha256:1"),)),
)


def test_what_is_left_out_is_the_most_that_the_rules_allow() -> None:
    assert agreed(Terms(uses=3), ASKED, NOW) == Agreed(3, NOW + 8 * HOUR, {})
    assert agreed(Terms(until_ms=NOW + 1), ASKED, NOW) == Agreed(20, NOW + 1, {})


def test_a_cap_of_a_meter_that_the_call_adds_to_is_kept() -> None:
    assert agreed(Terms(uses=3, exposure={"refunds_usd": 5}), ASKED, NOW) == Agreed(
        3, NOW + 8 * HOUR, {"refunds_usd": 5}
    )


@pytest.mark.parametrize(
    ("terms", "code", "words"),
    [
        (Terms(uses=21), "GrantTooWide", "21 uses are too many: the rules that ask allow 20 uses and 8 hours"),
        (Terms(until_ms=NOW + 8 * HOUR + 1), "GrantTooWide", "the rules that ask allow 20 uses and 8 hours"),
        (Terms(until_ms=NOW), "GrantOver", "name a later `until`"),
        (Terms(uses=1, exposure={"points": 1}), "UnknownMeter", "no meter `points`; it adds to `refunds_usd`"),
    ],
)
def test_more_than_the_rules_allow_is_refused_with_words(terms: Terms, code: str, words: str) -> None:
    refusal = agreed(terms, ASKED, NOW)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code
    assert words in refusal.text


CHANGES: Mapping[str, tuple[Approval, str]] = {
    "a quorum of two": (replace(ASKED, groups=("finance:2",)), "2 people must say yes"),
    "two groups": (replace(ASKED, groups=("finance", "legal")), "2 people must say yes"),
    "a limit": (replace(ASKED, kind=ApprovalKind.EXPOSURE), "only an approval that rules ask for"),
    "a budget": (replace(ASKED, kind=ApprovalKind.BUDGET), "only an approval that rules ask for"),
    "an edited call": (replace(ASKED, editors=("bob",)), "a person changed the arguments"),
    "a rule that allows none": (replace(ASKED, grantable=None), "allows no standing grant"),
}


@pytest.mark.parametrize(("approval", "words"), CHANGES.values(), ids=CHANGES.keys())
def test_nothing_else_can_be_granted_on(approval: Approval, words: str) -> None:
    refusal = agreed(Terms(uses=1), approval, NOW)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "NotGrantable"
    assert words in refusal.text
    assert "leave `grant` out" in refusal.text


def test_without_a_meter_the_refusal_says_so() -> None:
    refusal = agreed(Terms(exposure={"points": 1}), replace(ASKED, exposure={}), NOW)
    assert isinstance(refusal, Refusal)
    assert refusal.text.endswith("it adds to none")
