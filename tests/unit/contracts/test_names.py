"""The names that stand in histories: they never change."""

from backstay.contracts import names


def test_shared_effects_have_a_task_queue_beside_that_of_their_calls() -> None:
    assert names.effects_queue(names.TASK_QUEUE) == "agents-effects"


def test_the_names_that_recorded_histories_hold_stay_as_they_are() -> None:
    assert (names.AGENT_RUN, names.EFFECT) == ("AgentRun", "Effect")
    activities = [names.ADMIT, names.DECIDE, names.AUTHORIZE, names.ACT, names.PERFORM, names.NOTIFY, names.RECONCILE]
    assert activities == ["admit", "decide", "authorize", "act", "perform", "notify", "reconcile"]
    messages = [names.APPROVE, names.DENY, names.ANSWER, names.EDIT, names.KILL, names.PAUSE, names.RESUME]
    assert messages == ["approve", "deny", "answer", "edit", "kill", "pause", "resume"]
    assert (names.CLAIM, names.WITHDRAW) == ("claim", "withdraw")
    assert [names.STATUS, names.TRANSCRIPT, names.AUDIT] == ["status", "transcript", "audit"]
