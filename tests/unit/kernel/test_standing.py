from dataclasses import replace

import pytest

from backstay.kernel import standing
from backstay.kernel.approval import Refusal
from backstay.kernel.grantable import RuleText
from backstay.kernel.standing import GrantState, Revocation, Standing, StandingGrant, Use, Wanted

LARGE, LATE = RuleText("large", "sha256:1"), RuleText("late", "sha256:2")
NOW = 1_000
GRANT = StandingGrant(
    "g1", "refund", "till", (LARGE, LATE), "Ann <ann@example.com>", "run-1", "apr_1", 0, 2_000, uses=2
)
WANTED = Wanted("u1", "refund", "till", (LARGE,), requester="rita")
TAKEN_BACK = Revocation("ops", "enough", 1_500)


def given(*grants: StandingGrant) -> Standing:
    after = Standing()
    for grant in grants:
        next_one = after.give(grant, NOW)
        assert isinstance(next_one, Standing)
        after = next_one
    return after


def use(after: Standing, wanted: Wanted, at_ms: int = NOW) -> tuple[Standing, Use]:
    after, drawn = after.use(wanted, at_ms)
    assert drawn is not None
    return after, drawn


def fits(after: Standing, wanted: Wanted, at_ms: int = NOW) -> bool:
    return after.use(wanted, at_ms)[1] is not None


def test_a_grant_lets_as_many_calls_through_as_it_says() -> None:
    after, first = use(given(GRANT), WANTED)
    assert first == Use("g1", GRANT.by, 2_000, (LARGE, LATE), 1, 2)
    after, second = use(after, replace(WANTED, id="u2"))
    assert second.number == 2
    assert after.use(replace(WANTED, id="u3"), NOW) == (after, None)
    assert after.grants["g1"].state(NOW) is GrantState.USED_UP


def test_who_asks_again_for_a_use_draws_once() -> None:
    after, first = use(given(GRANT), WANTED)
    assert use(after, WANTED) == (after, first)


@pytest.mark.parametrize("over", [{"until_ms": 1_500}, {"revoked": TAKEN_BACK}])
def test_who_asks_again_once_the_grant_is_over_gets_nothing(over: dict[str, object]) -> None:
    after, _ = use(given(GRANT), WANTED)
    ended = Standing({"g1": replace(after.grants["g1"], **over)})  # pyright: ignore[reportArgumentType]
    assert not fits(ended, WANTED, 1_500)


def test_a_use_that_was_given_back_may_be_drawn_again() -> None:
    after, _ = use(given(replace(GRANT, uses=1)), WANTED)
    assert not fits(after, replace(WANTED, id="u2"))
    after = after.give_back("u1")
    assert fits(after, replace(WANTED, id="u2"))
    assert after.give_back("nobody") == after


@pytest.mark.parametrize(
    "other",
    [
        replace(WANTED, tool="pay"),
        replace(WANTED, agent="clerk"),
        replace(WANTED, queue="staging"),
        replace(WANTED, rules=(LARGE, RuleText("other", "sha256:3"))),
        replace(WANTED, rules=(RuleText("large", "sha256:changed"),)),
        replace(WANTED, rules=()),
        replace(WANTED, requester="ANN@example.com"),
    ],
)
def test_a_grant_is_for_the_same_tool_agent_and_rules_and_never_for_runs_of_who_gave_it(other: Wanted) -> None:
    assert not fits(given(GRANT), other)


def test_a_run_that_nobody_is_named_for_may_use_it() -> None:
    assert fits(given(GRANT), replace(WANTED, requester=None))


def test_from_its_end_on_a_grant_lets_nothing_through() -> None:
    assert fits(given(GRANT), WANTED, 1_999)
    assert not fits(given(GRANT), WANTED, 2_000)
    assert GRANT.state(2_000) is GrantState.EXPIRED


def test_a_revoked_grant_lets_nothing_through_and_the_first_revocation_stays() -> None:
    after = given(GRANT).revoke("g1", TAKEN_BACK)
    assert not fits(after, WANTED)
    assert after.grants["g1"].state(NOW) is GrantState.REVOKED
    assert after.revoke("g1", Revocation("eve", "again", 1_600)) == after
    assert after.revoke("nobody", TAKEN_BACK) == after


def test_a_grant_never_lets_more_of_a_meter_through_than_its_cap() -> None:
    capped = given(replace(GRANT, exposure={"usd": 100}))
    after, _ = use(capped, replace(WANTED, exposure={"usd": 70, "points": 9}))
    assert after.grants["g1"].exposure_left("usd") == 30
    assert not fits(after, replace(WANTED, id="u2", exposure={"usd": 31}))
    assert fits(after, replace(WANTED, id="u2", exposure={"usd": 30}))
    assert fits(after, replace(WANTED, id="u2"))


def test_of_several_grants_the_one_that_ends_first_is_used_first() -> None:
    after = given(GRANT, replace(GRANT, id="g2", until_ms=1_800, uses=1))
    after, first = use(after, WANTED)
    after, second = use(after, replace(WANTED, id="u2"))
    assert (first.grant_id, second.grant_id) == ("g2", "g1")
    assert after.give_back("u2").grants["g1"].uses_left == 2


def test_a_grant_of_the_same_id_is_given_once() -> None:
    after, _ = use(given(GRANT), WANTED)
    assert after.give(replace(GRANT, uses=9), NOW) == after


def test_all_grants_of_a_tenant_together_are_limited_and_those_that_are_over_make_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(standing, "MOST_USES", 3)
    after = given(GRANT)
    refusal = after.give(replace(GRANT, id="g2"), NOW)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, "revoke some" in refusal.text) == ("TooManyGrants", True)
    third = after.revoke("g1", TAKEN_BACK).give(replace(GRANT, id="g2"), NOW)
    assert isinstance(third, Standing)
    assert list(third.grants) == ["g2"]


def test_a_day_after_its_end_a_grant_is_forgotten() -> None:
    after = given(GRANT, replace(GRANT, id="g2", until_ms=9_000))
    assert after.forgetting(2_000) is after
    assert list(after.forgetting(2_000 + standing.REMEMBERED_MS).grants) == ["g2"]
