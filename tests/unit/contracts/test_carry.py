"""A run between two links of its chain; tests/property/test_carry.py holds that it decides the same in both."""

import pytest
from pydantic import ValidationError

from backstay.contracts.admission import Admission, ModelSpec
from backstay.contracts.carry import Carried, CarriedApprovals, CarriedCall, CarriedNews
from backstay.contracts.decision import ProposedCall
from backstay.kernel.audit import AuditHead
from backstay.kernel.budget import Limits
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Thresholds

from .conftest import arrived

CARRIED = Carried(
    admission=Admission(
        agent="clerk",
        agent_version="1",
        instructions="Be careful.",
        model=ModelSpec(name="m", api="chat", max_output_tokens=100, give_up_after=600.0, price=None),
        tools=[],
        limits=Limits(),
        thresholds=Thresholds(),
        policy_version="1",
    ),
    state=RunState(admitted=True, step=3, taint=frozenset({"untrusted"})),
    audit=AuditHead(2, "sha256:2"),
    items=7,
    news=CarriedNews(notes=["Conclude."], size=73),
    calls=[CarriedCall(call=ProposedCall(call_id="3-0", tool="pay", arguments="{}"), approval_id="apr_1")],
    approvals=CarriedApprovals(),
    last_decision=None,
    started_ms=1_000,
    waited_ms=0,
)


def test_it_arrives_as_it_was_sent() -> None:
    assert arrived(CARRIED) == CARRIED


@pytest.mark.parametrize("change", [{"waited_ms": -1}, {"items": -1}, {"state": {"step": "three"}}, {"more": 1}])
def test_what_does_not_fit_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Carried.model_validate({**CARRIED.model_dump(mode="json"), **change})
