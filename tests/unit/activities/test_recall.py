"""`recall`: the conversation of earlier links, in pieces that each fit into one event of the history."""

import pytest
from temporalio.exceptions import ApplicationError

from activities import recall
from activities.recall import Recall
from backstay.contracts.call import ToolResult
from backstay.contracts.conversation import Decided, Observed, Said
from backstay.contracts.decision import DecideInput, Decision, Observation, ProposedCall, short_digest
from backstay.contracts.history import RunRef
from backstay.contracts.recall import Recalled, RecallInput, Recollection
from backstay.errors import HistoryGoneError

from .fakes import RUN, opening, tool_spec
from .world import World

BEFORE = RunRef(RUN.workflow_id, "the link before")
PAY = Decision(calls=[ProposedCall(call_id="1-0", tool="pay", arguments="{}")])
GOAL = Said("Refund order A17.")
UNTOLD = Observation(call_id="1-0", digest=short_digest("paid"))
ASKED = RecallInput(step=1, decision=PAY.digest(1), observations=[UNTOLD])


def decided(step: int, previous: str | None = None, observations: tuple[Observation, ...] = ()) -> DecideInput:
    return DecideInput(
        step=step, run_key="key", previous=previous, max_output_tokens=9, attempts=1, observations=list(observations)
    )


@pytest.fixture
def later(world: World) -> World:
    """A world in which the run is in its second link; the first decided once, and paid."""
    world.history.openings[BEFORE] = world.history.openings[RUN]
    world.history.openings[RUN] = opening(tool_spec(), continues=BEFORE.run_id)
    world.history.inputs[1] = decided(1)
    world.history.decisions[1] = PAY
    world.history.results["1-0"] = ToolResult(status="completed", text="paid")
    return world


async def pieces(world: World, given: RecallInput) -> list[Recalled]:
    found = [await world.env.run(Recall(world.conversations).recall, given)]
    while found[-1].more:
        after = sum(len(one.items) + len(one.results) for one in found)
        following = given.model_copy(update={"after": after})
        found.append(await world.env.run(Recall(world.conversations).recall, following))
    return found


async def test_it_has_what_was_said_and_the_results_that_no_decision_was_told(later: World) -> None:
    [whole] = await pieces(later, ASKED)
    assert whole == Recalled(items=[GOAL, Decided(PAY)], results={"1-0": "paid"})


async def test_a_long_one_comes_in_pieces(later: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "PIECE_BYTES", 10)
    found = await pieces(later, ASKED)
    assert [one.items for one in found] == [[GOAL], [Decided(PAY)], []]
    assert found[-1].results == {"1-0": "paid"}


async def test_a_worker_that_remembers_it_reads_no_history(later: World) -> None:
    first = await later.conversations.conversation(BEFORE, decided(1))
    later.conversations.decided(BEFORE, decided(1), first, PAY)
    later.conversations.acted(BEFORE, "1-0", "paid")
    await pieces(later, ASKED)
    assert later.history.reads == []


async def test_what_a_worker_remembers_of_an_attempt_that_did_not_win_is_read_anew(later: World) -> None:
    first = await later.conversations.conversation(BEFORE, decided(1))
    later.conversations.decided(BEFORE, decided(1), first, Decision(text="another attempt said this"))
    [whole] = await pieces(later, ASKED)
    assert whole.items == [GOAL, Decided(PAY)]


async def test_a_run_that_has_decided_nothing_yet_has_its_goal(later: World) -> None:
    [whole] = await pieces(later, RecallInput(step=0))
    assert whole == Recalled(items=[GOAL])


async def test_a_third_link_has_what_the_first_one_said(later: World) -> None:
    said = (Said("an older goal"), Decided(Decision(text="older")))
    later.history.openings[BEFORE] = opening(tool_spec(), continues="the first link")
    later.history.recollections[BEFORE] = Recollection(said, 0, {"0-0": "kept"})
    later.history.inputs[1] = decided(1, observations=(Observation(call_id="0-0", digest="d"),))
    [whole] = await pieces(later, ASKED)
    assert whole.items == [*said, Observed("0-0", "kept"), Decided(PAY)]


async def test_it_is_tried_again_while_the_history_does_not_lead_to_the_last_decision(later: World) -> None:
    with pytest.raises(ApplicationError, match="does not lead to") as raised:
        await pieces(later, RecallInput(step=1, decision="another"))
    assert not raised.value.non_retryable


async def test_it_is_tried_again_while_the_history_lacks_a_result(later: World) -> None:
    del later.history.results["1-0"]
    with pytest.raises(ApplicationError, match="no result of call 1-0"):
        await pieces(later, ASKED)


async def test_it_fails_for_good_once_the_link_before_is_forgotten(later: World) -> None:
    del later.history.openings[BEFORE]
    with pytest.raises(ApplicationError) as raised:
        await pieces(later, ASKED)
    assert (raised.value.type, raised.value.non_retryable) == (HistoryGoneError.code, True)


async def test_a_first_link_has_nothing_before_it(world: World) -> None:
    with pytest.raises(ApplicationError, match="no link comes before"):
        await pieces(world, ASKED)


async def test_a_decision_of_a_later_link_is_asked_with_all_that_was_said_before(later: World) -> None:
    later.history.recollections[RUN] = Recollection((GOAL, Decided(PAY)), 1, {"1-0": "paid"})
    asked = decided(2, PAY.digest(1), (UNTOLD,))
    told = await later.conversations.conversation(RUN, asked)
    assert list(told.items) == [GOAL, Decided(PAY), Observed("1-0", "paid")]
    later.conversations.decided(RUN, asked, told, Decision(text="unrecorded"))
    assert (await later.conversations.conversation(RUN, asked)).items == told.items
