"""Items of a conversation come back from a history as they went into it."""

from backstay.contracts.conversation import Decided, Observed, Said
from backstay.contracts.decision import Decision, Part, ProposedCall
from backstay.contracts.recall import Recalled

DECISION = Decision(
    text="now",
    calls=[ProposedCall(call_id="1-0", tool="pay", arguments='{"amount": 5}', wire_id="w")],
    reasoning=[{"id": "r"}],
    parts=[Part(kind="text", length=3)],
)


def arrived(piece: Recalled) -> Recalled:
    return Recalled.model_validate_json(piece.model_dump_json())


def test_each_kind_of_item_keeps_its_kind() -> None:
    items = [
        Said("goal"),
        Decided(DECISION),
        Observed("1-0", "paid", labels=("mail",)),
        Observed("1-1", "", True, True),
    ]
    piece = Recalled(items=[*items], results={"1-2": "sent"}, more=True)
    there = arrived(piece)
    assert there == piece
    assert [type(item) for item in there.items] == [type(item) for item in items]


def test_the_digest_of_a_decision_is_the_same_in_the_next_link() -> None:
    [there] = arrived(Recalled(items=[Decided(DECISION)])).items
    assert isinstance(there, Decided)
    assert there.decision.digest(3) == DECISION.digest(3)
