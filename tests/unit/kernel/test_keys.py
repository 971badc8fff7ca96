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
    assert keys.perform_id(2) == "perform-2"


@given(st.integers(0, 10**9), st.integers(0, 500))
def test_an_activity_id_names_its_step_or_its_call_and_nothing_else(step: int, index: int) -> None:
    call = keys.call_id(step, index)
    assert keys.decided_step(keys.decide_id(step)) == step
    assert keys.acted_call(keys.act_id(call)) == call
    assert keys.acted_call(keys.decide_id(step)) is keys.decided_step(keys.act_id(call)) is None


@pytest.mark.parametrize("activity_id", ["admit", "decide-", "decide-x", "reconcile-3-1", ""])
def test_no_other_activity_is_a_decision(activity_id: str) -> None:
    assert keys.decided_step(activity_id) is None


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
    assert keys.effect_id(b"one") != keys.effect_id(b"two")
    assert keys.effect_id(b"one").startswith("effect-")
