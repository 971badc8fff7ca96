import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.kernel import keys

RUN = keys.run_key("default", "refund-A17", "0198-first")


def test_ids_of_a_step_are_spelled_as_histories_have_them() -> None:
    assert keys.call_id(3, 1) == "3-1"
    assert keys.decide_id(3) == "decide-3"
    assert keys.act_id("3-1") == "act-3-1"
    assert keys.reconcile_id("3-1") == "reconcile-3-1"
    assert keys.kept_id("3-1") == "kept-3-1"
    assert keys.authorize_id("3-1") == "authorize-3-1"
    assert keys.judge_now_id("3-1", 2) == "edit-3-1-2"
    assert keys.is_authorize(keys.authorize_id("3-1"))
    assert not keys.is_authorize(keys.judge_now_id("3-1", 2))
    assert keys.perform_id(2) == "perform-2"
    assert keys.verify_id(3) == "verify-3"
    assert keys.archive_id(4) == "archive-4"
    assert keys.recall_id(4) == "recall-4"
    assert keys.reserve_id(1) == "reserve-1"
    assert keys.enqueue_id(2) == "enqueue-2"
    assert keys.hold_id("key", "reserve-1") == "key/reserve-1"
    assert keys.metering_id("3-1", 2) == "meter-3-1-2"
    assert keys.meter_id("3-1", 2, "c0ffee") == "meter-3-1-2-c0ffee"


def test_every_tenant_has_a_ledger_of_its_own_and_none_has_the_organisations() -> None:
    assert keys.ledger_id(None) == "backstay-ledger"
    assert keys.ledger_id("acme") == "backstay-ledger-acme"
    assert keys.ledger_id("a b/ü") == "backstay-ledger-a%20b%2F%C3%BC"
    long, longer = keys.ledger_id("ü" * 199), keys.ledger_id("ü" * 200)
    assert long != longer
    assert max(len(long), len(longer)) < 700


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
def test_no_two_tenants_share_a_ledger_and_no_run_may_have_its_id(one: str, other: str) -> None:
    assert (keys.ledger_id(one) == keys.ledger_id(other)) == (one == other)
    assert keys.is_kept_id(keys.ledger_id(one))
    assert keys.ledger_id(one).isascii()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("backstay-ledger", True),
        ("backstay-ledgers", False),
        (keys.grants_id("acme"), True),
        (keys.quota_id("openai-main"), True),
        ("backstay-control", True),
        ("backstay-breakers", True),
        (keys.incident_workflow_id("i1"), True),
        ("acme", False),
    ],
)
def test_ids_that_no_run_may_have_are_known_by_their_beginning(name: str, kept: bool) -> None:
    assert keys.is_kept_id(name) is kept


@pytest.mark.parametrize(
    ("name", "shared"),
    [
        ("backstay-control", True),
        ("backstay-breakers", True),
        (keys.incident_workflow_id("i1"), True),
        ("backstay-ledger", False),
        ("acme", False),
    ],
)
def test_what_every_fleet_reads_is_known_by_its_id(name: str, shared: bool) -> None:
    assert keys.is_of_control(name) is shared


def test_every_account_has_a_workflow_of_its_own() -> None:
    assert keys.quota_id("openai-main") == "backstay-quota-openai-main"
    assert keys.account_of(keys.quota_id("openai-main")) == "openai-main"


@pytest.mark.parametrize("tenant", ["acme", "ü" * 32, "ü" * 33, "x" * 65, "\ud800"])
def test_every_tenant_has_its_own_key_of_at_most_64_bytes(tenant: str) -> None:
    key = keys.fairness_key(tenant)
    assert len(key.encode("utf-8", "surrogatepass")) <= 64
    assert key != keys.fairness_key(f"{tenant}x")
    assert (key == tenant) == (len(tenant.encode("utf-8", "surrogatepass")) <= 64)


@given(st.integers(0, 10**9), st.integers(0, 500))
def test_an_activity_id_names_its_step_or_its_call_and_nothing_else(step: int, index: int) -> None:
    call = keys.call_id(step, index)
    assert keys.decided_step(keys.decide_id(step)) == step
    assert keys.acted_call(keys.act_id(call)) == call
    assert keys.acted_call(keys.decide_id(step)) is keys.decided_step(keys.act_id(call)) is None


@pytest.mark.parametrize("activity_id", ["admit", "decide-", "decide-x", "reconcile-3-1", ""])
def test_no_other_activity_is_a_decision(activity_id: str) -> None:
    assert keys.decided_step(activity_id) is None


@given(st.integers(1, 10**6), st.integers(0, 500), st.integers(0, 9))
def test_an_id_on_the_wire_is_nine_letters_and_digits_and_always_the_same(step: int, index: int, again: int) -> None:
    made = keys.wire_id(keys.call_id(step, index), again)
    assert len(made) == 9
    assert made.isascii()
    assert made.isalnum()
    assert made == keys.wire_id(keys.call_id(step, index), again) != keys.wire_id(keys.call_id(step, index), again + 1)


def test_ids_on_the_wire_differ_over_a_long_run() -> None:
    calls = [keys.call_id(step, index) for step in range(100) for index in range(50)]
    assert len({keys.wire_id(call) for call in calls}) == len(calls)


def test_a_key_is_that_of_its_run_its_place_and_what_is_asked_for() -> None:
    assert keys.decision_key(RUN, 3) == f"{RUN}/decide-3"
    assert keys.call_key(RUN, "3-1", "0f") == f"{RUN}/3-1/0f"


@pytest.mark.parametrize(
    "other", [("other", "refund-A17", "0198-first"), ("default", "x", "0198-first"), ("default", "refund-A17", "0199")]
)
def test_every_run_has_a_key_of_its_own(other: tuple[str, str, str]) -> None:
    assert keys.run_key(*other) != RUN
    assert len(RUN) == 32


def test_asking_again_about_the_same_call_is_another_approval() -> None:
    first, second = keys.approval_id("sha256:d", 0), keys.approval_id("sha256:d", 1)
    assert first != second
    assert first.startswith("apr_")


def test_digests_are_made_of_any_text() -> None:
    assert keys.short_digest("") == "e3b0c44298fc1c14"
    assert keys.short_digest("\ud800") != keys.short_digest("\ud801")
    assert keys.fingerprint("a").startswith(keys.short_digest("a"))


def test_the_id_of_an_effect_is_a_digest_of_what_makes_calls_identical() -> None:
    assert keys.effect_id(b"key", b"one") != keys.effect_id(b"key", b"two")
    assert keys.effect_id(b"key", b"one") != keys.effect_id(b"another key", b"one")
    assert keys.effect_id(b"key", b"one").startswith("effect-")


def test_standing_grants_are_kept_by_tenant_and_known_by_what_they_allow() -> None:
    assert keys.grants_id("acme") == "backstay-grants-acme"
    assert keys.grants_id("a/\u00fc") == "backstay-grants-a%2F%C3%BC"
    first, same, other = (keys.grant_id("apr_1", "ann", terms) for terms in ("uses=2", "uses=2", "uses=3"))
    assert first == same != other
    assert first.startswith("grt_")
    assert (keys.use_id("1-0", "0f"), keys.using_id("1-0"), keys.giving_id(1)) == ("use-1-0-0f", "use-1-0", "give-1")


def test_a_child_has_the_same_id_after_a_crash_or_a_reset_and_another_one_for_another_call() -> None:
    one = keys.child_id("boss", "1-0", "abc")
    assert one == keys.child_id("boss", "1-0", "abc") == "boss/child-1-0-abc"
    assert len({one, keys.child_id("boss", "1-1", "abc"), keys.child_id("boss", "1-0", "abd")}) == 3


def test_the_id_of_a_long_parent_stays_within_what_the_engine_takes() -> None:
    long = keys.child_id("b" * 701, "1-0", "abc")
    assert len(long) < 100
    assert long != keys.child_id("c" * 701, "1-0", "abc")
    assert keys.child_id("b" * 700, "1-0", "abc").startswith("b" * 700)


def test_the_id_of_a_child_run_is_known_as_one() -> None:
    child = keys.child_id("boss", "12-3", keys.short_digest("what it asks for"))
    assert keys.is_child_id(child)
    assert keys.is_child_id(keys.child_id(child, "1-0", keys.short_digest("")))
    others = ("boss", "boss/child-1-0", f"{child}x", "child-1-0-0123456789abcdef")
    assert not any(map(keys.is_child_id, others))


def test_what_a_child_spends_is_held_beside_the_call() -> None:
    assert keys.child_hold("1-0") != keys.act_id("1-0")
    assert keys.delegate_id("1-0") == "delegate-1-0"
