"""The words that adapters, activities and workflows share without sending them."""

from backstay.contracts.admission import ModelSpec
from backstay.contracts.conversation import Decided, ModelReply, ModelRequest, Observed, Said
from backstay.contracts.decision import DecideInput, Decision
from backstay.contracts.history import Recorded, RunRef
from backstay.contracts.policy import Consent, RunFacts
from backstay.contracts.status import RunStatusView
from backstay.contracts.trace import Untraced

MODEL = ModelSpec(name="m", api="chat", max_output_tokens=100, give_up_after=600.0, price=None)


def test_two_requests_with_the_same_words_are_the_same_request() -> None:
    def request(said: str) -> ModelRequest:
        items = (Said(said), Decided(Decision(text="hm")), Observed("1-0", "done"))
        return ModelRequest(MODEL, "Be careful.", (), items, 100, "key/decide-1")

    assert request("go") == request("go")
    assert request("go") != request("stop")
    assert ModelReply(Decision(text="5"), None, "m") == ModelReply(Decision(text="5"), None, "m")


def test_nobody_has_consented_and_nothing_was_called_by_default() -> None:
    assert (Consent().approved_by, Consent().editors) == ([], [])
    facts = RunFacts(step=1, spent_usd=0, tool_calls=0)
    assert (facts.tool_calls_60s, facts.taint) == ({}, [])


def test_an_empty_history_records_nothing_and_shares_nothing_with_another() -> None:
    first = Recorded()
    assert (first.inputs, first.decisions, first.results) == ({}, {}, {})
    given = DecideInput(step=1, run_key="k", max_output_tokens=1, attempts=1)
    assert Recorded(inputs={1: given}).inputs[1] == given
    assert Recorded().inputs is not first.inputs
    assert RunRef("w", "r") == RunRef("w", "r")


def test_a_run_that_nobody_follows_is_not_asked_where_it_stands() -> None:
    asked: list[str] = []

    def status() -> RunStatusView:
        asked.append("status")
        raise AssertionError("nobody follows")

    with Untraced().step(status):
        asked.append("step")
    assert asked == ["step"]
