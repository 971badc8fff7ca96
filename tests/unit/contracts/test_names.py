"""The names that stand in histories: they never change."""

from backstay.contracts import names


def test_shared_effects_have_a_task_queue_beside_that_of_their_calls() -> None:
    assert names.effects_queue(names.TASK_QUEUE) == "agents-effects"


def test_the_names_that_recorded_histories_hold_stay_as_they_are() -> None:
    assert (names.AGENT_RUN, names.EFFECT, names.TENANT_LEDGER) == ("AgentRun", "Effect", "TenantLedger")
    assert names.CONTROL_QUEUE == "backstay-control"
    assert (names.RESERVE, names.SWEEP, names.RESTORE) == ("reserve", "sweep", "restore")
    assert (names.BOOK, names.BOOKS, names.CLOSED) == ("book", "books", "closed")
    assert (names.PROVIDER_QUOTA, names.PACE, names.PACED) == ("ProviderQuota", "pace", "paced")
    assert (names.THROTTLED, names.SET_QUOTA, names.QUOTA) == ("throttled", "set_quota", "quota")
    assert (names.FIND_FLEETS, names.SERVES, names.HOLD_QUEUES) == ("find_fleets", "serves", "hold_queues")
    assert (names.METER, names.RELEASED) == ("meter", "released")
    assert (names.TENANT_GRANTS, names.GIVE_GRANT, names.USE_GRANT) == ("TenantGrants", "give_grant", "use_grant")
    updates = (names.GIVE, names.USE, names.REVOKE, names.REVOKED, names.RETURNED, names.GRANTS)
    assert updates == ("give", "use", "revoke", "revoked", "returned", "grants")
    activities = [names.ADMIT, names.DECIDE, names.AUTHORIZE, names.ACT, names.PERFORM, names.NOTIFY, names.RECONCILE]
    assert activities == ["admit", "decide", "authorize", "act", "perform", "notify", "reconcile"]
    messages = [names.APPROVE, names.DENY, names.ANSWER, names.EDIT, names.KILL, names.PAUSE, names.RESUME]
    assert messages == ["approve", "deny", "answer", "edit", "kill", "pause", "resume"]
    assert (names.CLAIM, names.WITHDRAW) == ("claim", "withdraw")
    assert [names.STATUS, names.TRANSCRIPT, names.AUDIT] == ["status", "transcript", "audit"]


def test_the_calls_of_an_account_have_one_queue_for_all_fleets() -> None:
    assert names.model_queue("openai-main") == "model-openai-main"
