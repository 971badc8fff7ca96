"""The calls of a decision as the link before has left them."""

from backstay.contracts.carried_call import CarriedCall, CarriedEnd
from backstay.contracts.decision import ProposedCall
from backstay.kernel.keys import short_digest
from backstay.kernel.verdict import Code, Outcome, Verdict
from workflows.run.act import Ended
from workflows.run.authorize import Judged
from workflows.run.left import ELSEWHERE, carried_end, ended_of, judged_of, told_of
from workflows.run.words import CallTold

CALL = ProposedCall(call_id="1-0", tool="pay", arguments='{"amount":5}')
VERDICT = Verdict(Outcome.ALLOW, Code.PERMITTED, "d", "v")
JUDGED = Judged(CALL, VERDICT, {})


def test_a_call_that_a_person_changed_goes_on_with_their_arguments() -> None:
    changed = CALL.edited({"amount": 3})
    carried = CarriedCall(call=CALL, verdict=VERDICT, changed=changed, members={"ops": ["olga"]}, identity="i")
    assert judged_of(carried) == Judged(changed, VERDICT, {"ops": ["olga"]}, "i")
    assert judged_of(CarriedCall(call=CALL, verdict=VERDICT)).call == CALL
    assert told_of(carried).call == "pay(amount=3)"


def test_a_result_of_an_activity_is_read_in_the_history_and_not_carried() -> None:
    ended = Ended("completed", "paid", recorded=True, fingerprint="f", labels=("secret",))
    carried = carried_end(JUDGED, ended, None)
    assert carried.end == CarriedEnd(
        status="completed", text=None, digest=short_digest("paid"), labels=["secret"], fingerprint="f"
    )
    assert ended_of(carried, {"1-0": "paid"}) == ended
    assert ended_of(carried, {}).text == ELSEWHERE


def test_what_stands_nowhere_else_is_carried() -> None:
    ended = Ended("denied", "denied by a person: no")
    told = CallTold("pay", "pay(amount=5)", "allowed", False, grant="by grant g")
    carried = carried_end(JUDGED, ended, told)
    assert (ended_of(carried, {}), carried.grant) == (ended, "by grant g")
    assert (told_of(carried).grant, told_of(carried).verdict) == ("by grant g", "by grant g")


def test_a_call_that_nothing_is_held_for_was_not_made() -> None:
    assert ended_of(CarriedCall(call=CALL, verdict=VERDICT), {}).status == "cancelled"
