"""Where the calls of a decision stand, so that another link can go on with them."""

from backstay.contracts.carried_call import CarriedAsking, CarriedCall, CarriedEnd
from backstay.contracts.decision import ProposedCall
from backstay.kernel.verdict import Code, Outcome, Verdict
from workflows.run.parked import DecisionStand, Parked, Stand

CALLS = [ProposedCall(call_id=f"1-{n}", tool="pay", arguments="{}") for n in range(2)]
VERDICT = Verdict(Outcome.ALLOW, Code.PERMITTED, "d", "v")


def carried(number: int, **changes: object) -> CarriedCall:
    return CarriedCall.model_validate({"call": CALLS[number], "verdict": VERDICT, **changes})


def stand(number: int, *, still: bool = True) -> Stand:
    return Stand(lambda: still, lambda: carried(number, stage="asked"))


def begun() -> Parked:
    parked = Parked()
    parked.begins(CALLS)
    return parked


def test_a_decision_stands_still_where_each_call_waits_or_has_ended() -> None:
    parked = begun()
    assert not parked.still
    parked.ended("1-0", lambda: carried(0, end=CarriedEnd(status="completed")))
    with parked.at("1-1", stand(1)):
        assert parked.still
        assert [one.call.call_id for one in parked.carried()] == ["1-0", "1-1"]
        assert [one.end is not None for one in parked.carried()] == [True, False]
    assert not parked.still


def test_a_call_that_somebody_has_let_go_on_does_not_stand_still() -> None:
    parked = begun()
    with parked.at("1-0", stand(0)), parked.at("1-1", stand(1, still=False)):
        assert not parked.still


def test_a_call_that_is_under_way_does_not_stand_at_the_place_it_began_from() -> None:
    parked = begun()
    with parked.at("1-0", stand(0)), parked.at("1-1", stand(1)):
        with parked.at("1-0", None):
            assert not parked.still
            with parked.at("1-0", stand(0)):
                assert parked.still
        assert parked.still


def test_a_decision_of_which_all_calls_have_ended_goes_on_by_itself() -> None:
    parked = begun()
    for number in range(2):
        parked.ended(f"1-{number}", lambda number=number: carried(number))
    assert not parked.still
    parked.ends()
    assert (parked.carried(), parked.still) == ([], False)


def test_a_decision_may_stand_still_before_it_has_calls() -> None:
    parked, asking = Parked(), CarriedAsking(held=True)
    assert parked.asking is None
    with parked.deciding(DecisionStand(lambda: True, asking)):
        assert (parked.still, parked.asking) == (True, asking)
    with parked.deciding(DecisionStand(lambda: False, asking)):
        assert not parked.still
    assert (parked.still, parked.asking) == (False, None)
