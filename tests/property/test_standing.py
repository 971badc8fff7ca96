"""Whatever people and runs do, and in whatever order: no grant lets more through than its giver allowed."""

from collections import Counter, defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from backstay.kernel.grantable import RuleText
from backstay.kernel.standing import Revocation, Standing, StandingGrant, Wanted

A, B, C = RuleText("a", "1"), RuleText("b", "1"), RuleText("b", "2")
PEOPLE = ("ann", "ANN", "bob")

rules = st.sampled_from([(A,), (A,), (A,), (A, B), (C,)])
grants = st.builds(
    StandingGrant,
    id=st.sampled_from("xy"),
    tool=st.just("pay"),
    agent=st.sampled_from("kkkkl"),
    rules=rules,
    by=st.sampled_from(PEOPLE),
    run_id=st.just("run"),
    approval_id=st.just("apr"),
    given_ms=st.just(0),
    until_ms=st.integers(1, 20),
    uses=st.integers(1, 3),
    exposure=st.dictionaries(st.just("usd"), st.integers(0, 9)),
)
wishes = st.builds(
    Wanted,
    id=st.integers(0, 30).map(str),
    tool=st.sampled_from(["pay"] * 5 + ["mail"]),
    agent=st.sampled_from("kkkkl"),
    rules=rules,
    requester=st.sampled_from([None] * 4 + [*PEOPLE]),
    exposure=st.dictionaries(st.sampled_from(["usd", "points"]), st.integers(0, 5)),
)
steps = st.one_of(
    st.tuples(st.just("give"), grants),
    *[st.tuples(st.just("use"), wishes)] * 5,
    st.tuples(st.just("return"), st.integers(0, 30).map(str)),
    st.tuples(st.just("revoke"), st.sampled_from("xy")),
    st.tuples(st.just("wait"), st.integers(1, 4)),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(grants, min_size=1, max_size=2), st.lists(steps, min_size=15, max_size=50))
def test_no_grant_is_ever_used_more_or_longer_or_otherwise_than_it_says(
    first: list[StandingGrant], later: list[tuple[str, object]]
) -> None:
    now, after, revoked = 0, Standing(), set[str]()
    ordered = [*(("give", grant) for grant in first), *later]
    drawn = defaultdict[str, dict[str, Wanted]](dict)
    for what, given_one in ordered:
        if isinstance(given_one, StandingGrant):
            next_one = after.give(given_one, now)
            assert isinstance(next_one, Standing)
            after = next_one
        elif isinstance(given_one, Wanted):
            after, use = after.use(given_one, now)
            if use is not None:
                grant = after.grants[use.grant_id]
                wanted = drawn[use.grant_id].setdefault(given_one.id, given_one)
                assert now < grant.until_ms == use.until_ms
                assert use.grant_id not in revoked
                assert (wanted.tool, wanted.agent) == (grant.tool, grant.agent)
                assert set(wanted.rules) <= set(grant.rules)
                assert wanted.requester is None or wanted.requester.lower() != grant.by.lower()
        elif what == "return":
            after = after.give_back(str(given_one))
            for uses in drawn.values():
                uses.pop(str(given_one), None)
        elif what == "revoke":
            after = after.revoke(str(given_one), Revocation("ops", "enough", now))
            revoked |= {str(given_one)} & after.grants.keys()
        else:
            assert isinstance(given_one, int)
            now += given_one
        for key, grant in after.grants.items():
            uses = drawn[key]
            assert len(uses) == len(grant.used) <= grant.uses
            for meter, cap in grant.exposure.items():
                assert sum(one.exposure.get(meter, 0) for one in uses.values()) <= cap
        every = Counter(use_id for uses in drawn.values() for use_id in uses)
        assert set(every.values()) <= {1}
    adapter = TypeAdapter(Standing)
    assert adapter.validate_json(adapter.dump_json(after)) == after
