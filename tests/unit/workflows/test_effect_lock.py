"""The lock of an effect: one performance at a time, and another one only where the one before proves to be none."""

from typing import Literal

from backstay.contracts.call import SharedEffect, ToolResult
from backstay.contracts.effect import CallRef, Claim, Claimed, EffectInput
from workflows.effect_lock import WAITING_ROOM, EffectLock, LockState


def call(name: str) -> CallRef:
    return CallRef(workflow_id=name, run_id="r", call_id="1-0", task_queue="q")


def claim(name: str, again: int = 0) -> Claim:
    return Claim(call=call(name), again=again)


def lock_of(effect: Literal["write", "once"] = "once") -> EffectLock:
    """A lock that `a` started."""
    given = EffectInput(call=call("a"), key="key", tenant="t", tool="pay", effect=effect, timeout=1, window=1)
    return EffectLock(given)


def result(status: Literal["completed", "failed", "denied", "cancelled", "unknown"] = "completed") -> ToolResult:
    return ToolResult(status=status, text=status, usd=7)


def shared(told: ToolResult, performances: int = 1, usd: int | None = 7) -> Claimed:
    effect = SharedEffect(key="key", performances=performances)
    return Claimed(result=told.model_copy(update={"usd": usd, "shared": effect, "borrowed": usd == 0}))


def asked(lock: EffectLock, wanted: Claim) -> Claimed:
    """A claim that can be answered at once, and the answer."""
    assert lock.enter(wanted)
    assert lock.settled(wanted)
    return lock.answer(wanted)


def test_every_claimant_gets_the_one_result_and_only_the_performer_pays() -> None:
    lock = lock_of()
    for name in ("b", "a"):
        assert lock.enter(claim(name))
        assert not lock.settled(claim(name))
    lock.ended(result(), cut_short=False)
    assert lock.state is LockState.HELD
    assert lock.answer(claim("a")) == shared(result())
    assert lock.answer(claim("b")) == asked(lock, claim("c")) == shared(result(), usd=0)
    assert asked(lock, claim("a")) == shared(result())


def test_a_failure_is_told_to_those_who_wait_and_releases() -> None:
    lock = lock_of()
    lock.enter(claim("a"))
    lock.enter(claim("b"))
    lock.ended(result("failed"), cut_short=False)
    assert lock.state is LockState.RELEASED
    assert lock.answer(claim("b")) == shared(result("failed"), usd=0)


def test_a_failure_that_may_have_happened_is_repeated_by_the_next_who_asks() -> None:
    lock = lock_of("write")
    lock.enter(claim("a"))
    lock.enter(claim("b"))
    lock.ended(result("failed"), cut_short=False, unclear=True)
    assert lock.state is LockState.FREE
    assert lock.answer(claim("a")) == shared(result("failed"))
    assert lock.answer(claim("b")) == Claimed()
    assert lock.enter(claim("b"))
    lock.ended(result(), cut_short=False)
    assert (lock.state, lock.performances) == (LockState.HELD, 2)


def test_a_denial_of_the_performer_does_not_end_the_claims_of_others() -> None:
    lock = lock_of()
    lock.enter(claim("a"))
    lock.enter(claim("b"))
    lock.ended(result("denied"), cut_short=False)
    assert (lock.state, lock.performances) == (LockState.RELEASED, 0)
    assert lock.answer(claim("a")) == Claimed(result=result("denied"))
    assert lock.answer(claim("b")) == Claimed()


def test_an_unknown_outcome_is_held_until_somebody_knows_better() -> None:
    lock = lock_of()
    lock.enter(claim("a"))
    lock.ended(result("unknown"), cut_short=True)
    assert lock.state is LockState.HELD
    assert asked(lock, claim("b")) == shared(result("unknown"), usd=0)
    assert asked(lock, claim("b", again=2)) == shared(result("unknown"), usd=0)
    assert lock.enter(claim("b", again=1))
    assert (lock.state, lock.performer) == (LockState.PERFORMING, claim("b", again=1))
    assert lock.enter(claim("a", again=1))
    assert not lock.settled(claim("a", again=1))
    lock.ended(result(), cut_short=False)
    assert lock.answer(claim("b", again=1)) == shared(result(), 2)
    assert lock.answer(claim("a", again=1)) == shared(result(), 2, usd=0)


def test_knowing_about_one_performance_says_nothing_about_a_later_one() -> None:
    lock = lock_of()
    lock.enter(claim("a"))
    lock.ended(result("unknown"), cut_short=False)
    lock.enter(claim("a", again=1))
    lock.ended(result("unknown"), cut_short=False)
    assert asked(lock, claim("b", again=1)) == shared(result("unknown"), 2, usd=0)
    assert lock.state is LockState.HELD


def test_a_refusal_the_second_time_leaves_the_outcome_unknown() -> None:
    lock = lock_of()
    lock.enter(claim("a"))
    lock.ended(result("unknown"), cut_short=False)
    lock.enter(claim("b", again=1))
    lock.ended(result("denied"), cut_short=False)
    assert (lock.state, lock.performances) == (LockState.HELD, 1)
    assert lock.answer(claim("b", again=1)) == Claimed(result=result("denied"))
    assert asked(lock, claim("c")) == shared(result("unknown"), usd=0)


def test_a_write_that_was_cut_short_is_free_for_the_next_claim() -> None:
    lock = lock_of("write")
    lock.enter(claim("a"))
    lock.leave(call("a"))
    assert lock.abandoned
    lock.enter(claim("b"))
    assert not lock.abandoned
    lock.ended(result("unknown"), cut_short=True)
    assert lock.state is LockState.FREE
    assert lock.answer(claim("a")) == shared(result("unknown"))
    assert lock.answer(claim("b")) == Claimed()
    assert lock.enter(claim("b"))
    assert (lock.state, lock.performer) == (LockState.PERFORMING, claim("b"))
    lock.ended(result(), cut_short=False)
    assert lock.answer(claim("b")) == shared(result(), 2)


def test_a_call_that_leaves_is_told_at_once_where_others_wait() -> None:
    lock = lock_of()
    for name in ("a", "b", "c"):
        lock.enter(claim(name))
    lock.leave(call("a"))
    lock.leave(call("b"))
    assert not lock.abandoned
    first, second = lock.answer(claim("a")).result, lock.answer(claim("b")).result
    assert first is not None
    assert second is not None
    assert (first.status, second.status, second.usd) == ("unknown", "cancelled", 0)


def test_a_call_that_left_before_its_claim_came_has_nothing_done_for_it() -> None:
    lock = lock_of()
    lock.leave(call("a"))
    lock.enter(claim("a"))
    assert lock.waiting == 0
    lock.ended(result("cancelled"), cut_short=False)
    assert lock.answer(claim("a")) == Claimed(result=result("cancelled"))


def test_a_claim_beyond_the_waiting_room_is_turned_away_until_there_is_room() -> None:
    lock = lock_of()
    assert all(lock.enter(claim(str(number))) for number in range(WAITING_ROOM))
    assert not lock.enter(claim("a"))
    assert lock.waiting == WAITING_ROOM + 1
    lock.ended(result(), cut_short=False)
    assert lock.enter(claim("a"))


def test_a_new_link_of_the_chain_knows_what_the_old_one_knew() -> None:
    lock = lock_of()
    assert lock.held(5) is None
    lock.enter(claim("a"))
    lock.ended(result("unknown"), cut_short=False)
    given = EffectInput(
        call=call("a"), key="key", tenant="t", tool="pay", effect="once", timeout=1, window=1, held=lock.held(5)
    )
    later = EffectLock(given)
    assert asked(later, claim("a")) == shared(result("unknown"))
    assert asked(later, claim("b")) == shared(result("unknown"), usd=0)
    assert later.enter(claim("b", again=1))
    assert later.state is LockState.PERFORMING


def test_a_free_lock_that_closes_answers_a_late_claim_with_nothing() -> None:
    lock = lock_of("write")
    lock.enter(claim("a"))
    lock.ended(result("unknown"), cut_short=True)
    lock.close()
    assert asked(lock, claim("b")) == Claimed()
