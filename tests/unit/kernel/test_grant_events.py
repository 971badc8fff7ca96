from backstay.kernel.grant_events import GrantReturned, GrantUsed, StandingGranted
from backstay.kernel.grantable import RuleText
from backstay.kernel.run_state import RunState


def test_each_fact_about_a_grant_names_it_and_changes_nothing_that_the_run_decides_by() -> None:
    rules = (RuleText("large", "sha256:1"),)
    granted = StandingGranted("apr_1", "ann", "grt_1", "pay", rules, 3, 9, {"usd": 5})
    used, returned = GrantUsed("1-0", "pay", "grt_1", "ann", 1, 3), GrantReturned("1-0", "pay", "grt_1")
    state = RunState()
    for event in (granted, used, returned):
        assert event.facts()["grant"] == "grt_1"
        assert state.after(event) == state
    assert granted.facts()["rules"] == ({"id": "large", "digest": "sha256:1"},)
    assert [event.name() for event in (granted, used, returned)] == ["standing_granted", "grant_used", "grant_returned"]
