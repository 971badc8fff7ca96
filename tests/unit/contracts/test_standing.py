from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from backstay.contracts.problems import Problem
from backstay.contracts.standing import GiveInput, GrantView, StandingInput
from backstay.kernel.grantable import RuleText
from backstay.kernel.standing import Revocation, Standing, StandingGrant

GRANT = StandingGrant(
    id="grt_1",
    tool="refund",
    agent="till",
    rules=(RuleText("large", "sha256:1"),),
    by="ann",
    run_id="run-1",
    approval_id="apr_1",
    given_ms=1_767_225_600_000,
    until_ms=1_767_312_000_999,
    uses=3,
    exposure={"usd": 50_000},
    queue="agents",
)


def test_a_grant_is_shown_with_what_is_left_of_it() -> None:
    drawn = replace(GRANT, used={"u1": {"usd": 20_000}}, revoked=Revocation("ops", "enough", 1_767_225_601_000))
    shown = GrantView.of(drawn, "acme", 1_767_225_602_000).model_dump(mode="json")
    assert shown == {
        "id": "grt_1",
        "tenant": "acme",
        "agent": "till",
        "tool": "refund",
        "rules": ["large"],
        "by": "ann",
        "given": "2026-01-01T00:00:00Z",
        "until": "2026-01-02T00:00:00Z",
        "uses": 3,
        "uses_left": 2,
        "exposure": {"usd": "5"},
        "exposure_left": {"usd": "3"},
        "state": "revoked",
        "run_id": "run-1",
        "approval_id": "apr_1",
        "task_queue": "agents",
        "revoked": {"by": "ops", "reason": "enough", "at": "2026-01-01T00:00:01Z"},
    }


@pytest.mark.parametrize(
    "odd",
    [
        replace(GRANT, uses=0),
        replace(GRANT, rules=()),
        replace(GRANT, used={"u1": {}}),
        replace(GRANT, revoked=Revocation("ops", "enough", 0)),
    ],
)
def test_a_new_grant_has_no_past_and_allows_something(odd: StandingGrant) -> None:
    with pytest.raises(ValidationError, match="a new grant has rules and uses"):
        GiveInput(grant=odd)
    assert GiveInput(grant=GRANT).grant == GRANT


def test_grants_come_from_an_earlier_link_of_the_same_chain_alone() -> None:
    given: dict[str, Any] = {"tenant": "acme", "standing": {"grants": {}}}
    refused = [Problem(field="standing", problem="only an earlier link of the same workflow may hand this on")]
    assert StandingInput.read((given,), continued=False) == refused
    assert StandingInput.read((given,), continued=True) == StandingInput(tenant="acme", standing=Standing())
    assert StandingInput.read(({"tenant": "acme"},), continued=False) == StandingInput(tenant="acme")
    assert isinstance(StandingInput.read((), continued=False), list)
