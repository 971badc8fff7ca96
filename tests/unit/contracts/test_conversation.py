"""Conversations are compared by what was said, so that a worker knows whether its own goes on from another."""

from backstay.contracts.admission import ModelSpec
from backstay.contracts.conversation import Decided, Item, ModelRequest, Observed, Said
from backstay.contracts.decision import Decision

MODEL = ModelSpec(name="m", api="chat", max_output_tokens=100, give_up_after=600.0, price=None)


def conversation(said: str = "go", decided: str = "hm", observed: str = "done") -> tuple[Item, ...]:
    return (Said(said), Decided(Decision(text=decided)), Observed("1-0", observed))


def test_two_conversations_are_the_same_where_every_word_is() -> None:
    assert conversation() == conversation()
    for other in (conversation(said="stop"), conversation(decided="ha"), conversation(observed="lost")):
        assert conversation() != other


def test_words_of_the_user_are_no_result_and_no_decision() -> None:
    assert len({type(item) for item in conversation("same", "same", "same")}) == 3
    assert Said("same") != Observed("1-0", "same")


def test_two_requests_are_the_same_where_their_conversations_are() -> None:
    def request(items: tuple[Item, ...]) -> ModelRequest:
        return ModelRequest(MODEL, "Be careful.", (), items, 100, "key/decide-1")

    assert request(conversation()) == request(conversation())
    assert request(conversation()) != request(conversation(said="stop"))
