import pytest

from backstay.kernel.approval import Refusal
from backstay.kernel.budget import Limits, ToolLimit
from backstay.kernel.grant import limit_of, offer, raised, refuses, setting_of, words_of

LIMITS = Limits(steps=4, usd=100_000, tools={"mail": ToolLimit(calls=2, per_minute=1)})
CEILINGS = Limits(steps=6, tools={"mail": ToolLimit(calls=3)})


def test_only_members_of_the_group_may_grant_and_never_who_asked_for_the_run() -> None:
    people = ["Ann <ann@example.com>", "bob"]
    assert refuses("ANN@example.com", people, None) is None
    assert refuses("Bob ", people, "ann@example.com") is None
    for by, members, requester, code in (
        ("eve", people, None, "NotInGroup"),
        ("ann@example.com", people, "Ann@Example.com", "RequesterMayNotGrant"),
        ("bob", [], None, "NoGroup"),
    ):
        refusal = refuses(by, members, requester)
        assert refusal is not None
        assert refusal.code == code


def test_a_grant_adds_to_the_limits() -> None:
    added = Limits(steps=2, usd=50_000, tools={"mail": ToolLimit(calls=1, per_minute=4)})
    tools = {"mail": ToolLimit(calls=3, per_minute=5)}
    assert raised(LIMITS, added, CEILINGS) == Limits(steps=6, usd=150_000, tools=tools)
    assert words_of(added) == "steps=2, usd=0.05, tools.mail.calls=1, tools.mail.per_minute=4"


@pytest.mark.parametrize(
    ("added", "code", "words"),
    [
        (Limits(usd=1, steps=3), "AboveCeiling", "`steps` would be 7, above the ceiling of 6: 2 can be granted"),
        (Limits(tools={"mail": ToolLimit(calls=2)}), "AboveCeiling", "`tools.mail.calls` would be 4"),
        (Limits(tokens=1), "NoLimit", "`tokens` has no limit in this run"),
        (Limits(tools={"look": ToolLimit(calls=2)}), "NoLimit", "`tools.look.calls`"),
    ],
)
def test_what_passes_a_ceiling_in_one_dimension_is_granted_in_none(added: Limits, code: str, words: str) -> None:
    refusal = raised(LIMITS, added, CEILINGS)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, words in refusal.text) == (code, True)


def test_a_limit_above_its_ceiling_leaves_nothing_to_grant() -> None:
    refusal = raised(Limits(steps=8), Limits(steps=1), Limits(steps=6))
    assert isinstance(refusal, Refusal)
    assert "0 can be granted" in refusal.text


@pytest.mark.parametrize(
    ("limits", "dimension", "asked"),
    [
        (LIMITS, "usd", Limits(usd=50_000)),
        (LIMITS, "steps", Limits(steps=2)),
        (Limits(steps=5), "steps", Limits(steps=1)),
        (Limits(steps=6), "steps", None),
        (LIMITS, "tool:mail", Limits(tools={"mail": ToolLimit(calls=1)})),
        (LIMITS, "tool:mail:per_minute", Limits(tools={"mail": ToolLimit(per_minute=1)})),
        (LIMITS, "tokens", None),
        (LIMITS, "history", None),
        (Limits(), "steps", None),
    ],
)
def test_half_of_the_first_limit_is_asked_for_cut_at_the_ceiling(
    limits: Limits, dimension: str, asked: Limits | None
) -> None:
    assert offer(limits, LIMITS, CEILINGS, dimension) == asked


def test_a_dimension_is_spelled_as_a_budget_spells_it() -> None:
    assert [setting_of(name) for name in ("usd", "tool:mcp:a/b", "tool:mail:per_minute")] == [
        "usd",
        "tools.mcp:a/b.calls",
        "tools.mail.per_minute",
    ]
    assert limit_of(LIMITS, "tool:mail") == 2
