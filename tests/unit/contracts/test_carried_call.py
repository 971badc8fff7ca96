"""A decision that stands still between two links; tests/property/test_carry.py holds that nothing of it is lost."""

import pytest
from pydantic import ValidationError

from backstay.contracts.carried_call import CarriedAsking, CarriedCall, CarriedEnd, CarriedHold, CarriedTry
from backstay.contracts.decision import Observation, ProposedCall
from backstay.kernel.events import BudgetShort
from backstay.kernel.verdict import Code, Outcome, Verdict

from .conftest import arrived

CALL = ProposedCall(call_id="3-0", tool="pay", arguments="{}")
WAITS = CarriedCall(
    call=CALL,
    verdict=Verdict(Outcome.REQUIRE_APPROVAL, Code.NEEDS_APPROVAL, "sha256:d", "sha256:p", groups=("ops:2",)),
    stage="asked",
    hold=CarriedHold(usd=5, placed=True, short=BudgetShort("usd", "pay", 5, 0)),
    approval_id="apr_1",
    begun=CarriedTry(text="the outcome is unknown", again=1),
)


def ended(text: str | None) -> CarriedCall:
    return WAITS.model_copy(update={"end": CarriedEnd(status="completed", text=text, digest="abc")})


def test_it_arrives_as_it_was_sent() -> None:
    assert arrived(WAITS) == WAITS
    asking = CarriedAsking(short=BudgetShort("steps", None, 1, 0), proposed=[CALL])
    assert arrived(asking) == asking


@pytest.mark.parametrize("change", [{"stage": "lost"}, {"revision": -1}, {"hold": {"usd": -1}}, {"more": 1}])
def test_what_does_not_fit_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CarriedCall.model_validate({**WAITS.model_dump(mode="json"), **change})


def test_only_a_result_that_a_history_has_is_read_there_again() -> None:
    assert ended(None).as_told == Observation(call_id="3-0", digest="abc")
    assert ended("denied by a person").as_told is None
    assert WAITS.as_told is None
