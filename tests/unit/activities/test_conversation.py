"""The conversation of a run: remembered where the history recorded it, read back where anything is missing."""

import asyncio
import gc
import os
import random
import tracemalloc

import pytest

from activities import conversation
from activities.conversation import Conversations
from activities.past import Asked, Before
from activities.weight import weight
from backstay.contracts.call import ActInput, ToolResult
from backstay.contracts.conversation import Decided, Item, Observed, Said, Written
from backstay.contracts.decision import DecideInput, Decision, Observation, ProposedCall, short_digest
from backstay.contracts.history import RunRef
from backstay.errors import HistoryError
from backstay.kernel.sourcing import Sourcing

from .fakes import RUN, opening, tool_spec
from .world import World, facts

RUNS = 10_000 if os.environ.get("BACKSTAY_SOAK") else 200
GOAL = Said("Refund order A17.")
PAY = Decision(calls=[ProposedCall(call_id="1-0", tool="pay", arguments='{"amount": 5}')])
MAIL = Decision(calls=[ProposedCall(call_id="2-0", tool="mail", arguments="{}")])
OTHER = Decision(text="another attempt said this")
PAID = Observed("1-0", "paid")
SENT = Observed("2-0", "sent")


def asked(
    step: int, previous: Decision | None = None, seen: dict[str, str] | None = None, notes: tuple[str, ...] = ()
) -> DecideInput:
    """The input of a step; `seen` has the recorded text of each result that the model reads now."""
    observations = [Observation(call_id=call, digest=short_digest(text)) for call, text in (seen or {}).items()]
    return DecideInput(
        step=step,
        run_key="key",
        previous=previous.digest(step - 1) if previous else None,
        max_output_tokens=50,
        attempts=2,
        observations=observations,
        notes=list(notes),
    )


def record(
    world: World, step: int, given: DecideInput, decision: Decision | None = None, results: dict[str, str] | None = None
) -> None:
    """Writes a step into the history: its input, and what came of it."""
    world.history.inputs[step] = given
    if decision is not None:
        world.history.decisions[step] = decision
    for call, text in (results or {}).items():
        world.history.results[call] = ToolResult(status="completed", text=text)


def two_steps(world: World) -> DecideInput:
    """Writes two whole steps into the history; returns the input of the third, which is being asked."""
    record(world, 1, asked(1), PAY, {"1-0": "paid"})
    record(world, 2, asked(2, PAY, {"1-0": "paid"}), MAIL, {"2-0": "sent"})
    third = asked(3, MAIL, {"2-0": "sent"}, notes=("hurry",))
    record(world, 3, third)
    return third


async def told(memory: Conversations, run: RunRef, given: DecideInput) -> list[Item]:
    """The conversation that a decision is asked with."""
    return list((await memory.conversation(run, given)).items)


WHOLE: list[Item] = [GOAL, Decided(PAY), PAID, Decided(MAIL), SENT, Said("hurry")]


async def remembers_two_steps(world: World) -> None:
    """Lets the worker take the first two steps itself."""
    first = await world.conversations.conversation(RUN, asked(1))
    world.conversations.decided(RUN, asked(1), first, PAY)
    world.conversations.acted(RUN, "1-0", "paid")
    second_input = asked(2, PAY, {"1-0": "paid"})
    second = await world.conversations.conversation(RUN, second_input)
    world.conversations.decided(RUN, second_input, second, MAIL)
    world.conversations.acted(RUN, "2-0", "sent")


async def test_a_run_begins_with_its_goal_and_what_it_is_told(world: World) -> None:
    assert await told(world.conversations, RUN, asked(1, notes=("be brief",))) == [GOAL, Said("be brief")]
    assert world.history.reads == []


async def test_what_a_worker_did_itself_is_remembered_without_a_look_at_the_history(world: World) -> None:
    third = two_steps(world)
    await remembers_two_steps(world)
    assert await told(world.conversations, RUN, third) == WHOLE
    assert (world.history.reads, world.history.openings_read) == ([], [RUN])


async def test_a_worker_that_remembers_nothing_reads_the_whole_history(world: World) -> None:
    third = two_steps(world)
    assert await told(world.conversations, RUN, third) == WHOLE
    assert world.history.reads == [0]


async def test_what_was_read_once_is_remembered(world: World) -> None:
    third = two_steps(world)
    await world.conversations.conversation(RUN, third)
    assert await told(world.conversations, RUN, third) == WHOLE
    assert world.history.reads == [0, 2]


async def test_a_result_of_another_worker_is_read_from_where_memory_ends(world: World) -> None:
    record(world, 1, asked(1), PAY, {"1-0": "paid"})
    second = asked(2, PAY, {"1-0": "paid"})
    record(world, 2, second)
    world.conversations.decided(RUN, asked(1), await world.conversations.conversation(RUN, asked(1)), PAY)
    assert await told(world.conversations, RUN, second) == [GOAL, Decided(PAY), PAID]
    assert world.history.reads == [1]


async def test_a_result_that_is_not_the_recorded_one_is_not_trusted(world: World) -> None:
    third = two_steps(world)
    await remembers_two_steps(world)
    world.conversations.acted(RUN, "2-0", "sent by an attempt that lost")
    assert await told(world.conversations, RUN, third) == WHOLE
    assert world.history.reads == [2]


async def test_a_decision_that_is_not_the_recorded_one_is_not_trusted(world: World) -> None:
    third = two_steps(world)
    world.conversations.decided(RUN, asked(1), await world.conversations.conversation(RUN, asked(1)), OTHER)
    assert await told(world.conversations, RUN, third) == WHOLE
    assert world.history.reads == [1, 0]


async def test_a_memory_that_ran_ahead_of_the_history_starts_anew(world: World) -> None:
    third = two_steps(world)
    await remembers_two_steps(world)
    second = asked(2, PAY, {"1-0": "paid"})
    assert await told(world.conversations, RUN, second) == WHOLE[:3]
    assert await told(world.conversations, RUN, third) == WHOLE
    assert world.history.reads == [0, 1]


async def test_a_first_decision_that_is_asked_again_forgets_the_answer_that_was_lost(world: World) -> None:
    await remembers_two_steps(world)
    assert await told(world.conversations, RUN, asked(1)) == [GOAL]
    assert world.history.reads == []


async def test_a_decision_that_goes_on_from_something_else_is_not_remembered(world: World) -> None:
    before = await world.conversations.conversation(RUN, asked(1))
    await world.conversations.conversation(RUN, asked(1))  # another attempt, which begins anew
    world.conversations.decided(RUN, asked(1), before, OTHER)
    world.conversations.decided(RunRef("unknown", "run"), asked(1), before, OTHER)
    world.conversations.acted(RunRef("unknown", "run"), "1-0", "paid")
    second = asked(2, PAY, {"1-0": "paid"})
    record(world, 1, asked(1), PAY, {"1-0": "paid"})
    record(world, 2, second)
    assert await told(world.conversations, RUN, second) == [GOAL, Decided(PAY), PAID]


async def test_a_step_without_a_decision_is_left_out(world: World) -> None:
    record(world, 1, asked(1), PAY, {"1-0": "paid"})
    record(world, 2, asked(2, PAY, {"1-0": "paid"}))
    third = asked(3, seen={"1-0": "paid"}, notes=("the reply was lost",))
    record(world, 3, third)
    assert await told(world.conversations, RUN, third) == [GOAL, Decided(PAY), PAID, Said("the reply was lost")]


async def test_what_the_run_itself_made_of_a_call_stands_in_the_input(world: World) -> None:
    world.conversations.decided(RUN, asked(1), await world.conversations.conversation(RUN, asked(1)), PAY)
    second = asked(2, PAY).model_copy(update={"observations": [Observation(call_id="1-0", text="denied")]})
    assert await told(world.conversations, RUN, second) == [GOAL, Decided(PAY), Observed("1-0", "denied")]
    assert world.history.reads == []


async def test_a_history_that_lags_behind_is_an_error_that_is_tried_again(world: World) -> None:
    third = two_steps(world)
    del world.history.inputs[3]
    with pytest.raises(HistoryError, match="does not show this decision yet"):
        await world.conversations.conversation(RUN, third)
    del world.history.inputs[2]
    world.history.inputs[3] = third
    with pytest.raises(HistoryError, match="no input of step 2"):
        await world.conversations.conversation(RUN, third)
    record(world, 2, asked(2, PAY, {"1-0": "paid"}))
    del world.history.results["2-0"]
    with pytest.raises(HistoryError, match="no result of call 2-0"):
        await world.conversations.conversation(RUN, third)


async def test_two_attempts_at_once_build_one_conversation(world: World) -> None:
    third = two_steps(world)
    both = await asyncio.gather(*(told(world.conversations, RUN, third) for _ in range(2)))
    assert both == [WHOLE, WHOLE]


def act(decision: Decision, call_id: str = "1-0") -> ActInput:
    return ActInput(
        run_key="key",
        step=1,
        decision=decision.digest(1),
        call_id=call_id,
        tool="pay",
        digest="d",
        content="c",
        facts=facts(),
        now=0,
    )


async def test_a_call_is_taken_from_memory_where_its_decision_is_the_recorded_one(world: World) -> None:
    world.conversations.decided(RUN, asked(1), await world.conversations.conversation(RUN, asked(1)), PAY)
    assert await world.conversations.call(RUN, act(PAY)) == PAY.calls[0]
    assert world.history.reads == []


async def test_a_call_is_read_where_memory_holds_another_decision_or_none(world: World) -> None:
    record(world, 1, asked(1), PAY)
    assert await world.conversations.call(RUN, act(PAY)) == PAY.calls[0]
    world.conversations.decided(RUN, asked(1), await world.conversations.conversation(RUN, asked(1)), OTHER)
    assert await world.conversations.call(RUN, act(PAY)) == PAY.calls[0]
    assert world.history.reads == [1, 1]


@pytest.mark.parametrize("decision", [None, PAY])
async def test_a_call_that_the_history_does_not_hold_is_an_error(world: World, decision: Decision | None) -> None:
    record(world, 1, asked(1), decision)
    with pytest.raises(HistoryError, match="no call 1-7"):
        await world.conversations.call(RUN, act(PAY, "1-7"))


async def test_the_run_that_was_not_used_for_longest_is_forgotten_first(world: World) -> None:
    runs = [RunRef(f"run-{number}", "r") for number in range(3)]
    for run in runs:
        world.history.openings[run] = opening()
    memory = Conversations(world.history, capacity=3 * weight(opening()) + 5_000)
    for run in runs[:2]:
        memory.decided(run, asked(1), await memory.conversation(run, asked(1)), PAY)
    await memory.opening(runs[0])
    memory.acted(runs[0], "1-0", "x" * 4_000)
    await memory.opening(runs[2])
    world.history.openings_read.clear()
    await memory.opening(runs[0])
    assert world.history.openings_read == []
    await memory.opening(runs[1])
    assert world.history.openings_read == [runs[1]]


@pytest.mark.soak
@pytest.mark.parametrize("results", [0, 3])
async def test_memory_stays_within_its_limit_whatever_runs_bring(world: World, results: int) -> None:
    limit = 1_000_000
    memory = Conversations(world.history, limit)
    tracemalloc.start()
    try:
        for number in range(RUNS):
            run = RunRef(f"run-{number}", "r")
            goal = f"{number} \N{GRINNING FACE}" * 4_000
            world.history.openings = {run: opening().model_copy(update={"goal": goal})}
            del goal
            memory.decided(run, asked(1), await memory.conversation(run, asked(1)), PAY)
            for call in range(results):
                memory.acted(run, f"1-{call}", f"{number} {call} " * 2_000)
            await memory.opening(run)
        world.history.openings.clear()
        world.history.openings_read.clear()
        gc.collect()  # what nobody holds any more may still lie about
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1.2 * limit


async def test_a_worker_without_room_reads_everything_every_time(world: World) -> None:
    memory = Conversations(world.history, capacity=0)
    third = two_steps(world)
    for _ in range(2):
        whole = await memory.conversation(RUN, third)
        assert list(whole.items) == WHOLE
        memory.decided(RUN, third, whole, OTHER)
    assert (world.history.openings_read, world.history.reads) == ([RUN, RUN], [0, 0])


async def test_a_refusal_is_remembered_and_read_from_the_history(world: World) -> None:
    seen = [Observation(call_id="1-0", text="no", refused=True, denied=True)]
    record(world, 1, asked(1), PAY)
    record(world, 2, asked(2, PAY).model_copy(update={"observations": seen}))
    items = await told(world.conversations, RUN, world.history.inputs[2])
    assert items[-1] == Observed("1-0", "no", refused=True, denied=True)


async def test_what_will_never_change_is_settled_and_the_last_decision_is_not_yet(world: World) -> None:
    third = two_steps(world)
    assert (await world.conversations.conversation(RUN, asked(1))).settled == 0
    await remembers_two_steps(world)
    whole = await world.conversations.conversation(RUN, third)
    assert list(whole.items[whole.settled :]) == [Decided(MAIL), SENT, Said("hurry")]


async def test_of_long_words_that_were_refused_the_beginning_is_told_in_every_later_step(world: World) -> None:
    long = ProposedCall(call_id="1-0", tool="pay", arguments='{"amount": "' + "x" * 100_000 + '"}')
    refused = [Observation(call_id="1-0", text="no", refused=True)]
    begun = await world.conversations.conversation(RUN, asked(1))
    world.conversations.decided(RUN, asked(1), begun, Decision(calls=[long]))
    second_input = asked(2, Decision(calls=[long])).model_copy(update={"observations": refused})
    second = await world.conversations.conversation(RUN, second_input)
    world.conversations.decided(RUN, second_input, second, MAIL)
    third = await world.conversations.conversation(RUN, asked(3, MAIL))
    for items in (second.items, third.items):
        assert isinstance(items[1], Decided)
        assert len(items[1].decision.calls[0].arguments) < 300
    assert second.items == third.items[: len(second.items)]


async def written_of(memory: Conversations, runs: list[RunRef]) -> list[Written]:
    """What adapters have written of runs whose first step a worker has taken: 5 kB each."""
    found: list[Written] = []
    for run in runs:
        begun = await memory.conversation(run, asked(1))
        begun.written.weight = 5_000
        memory.decided(run, asked(1), begun, PAY)
        found.append(begun.written)
    return found


async def test_what_an_adapter_has_written_is_kept_with_the_conversation_and_goes_first(world: World) -> None:
    runs = [RunRef(f"run-{number}", "r") for number in range(2)]
    for run in runs:
        world.history.openings[run] = opening()
    roomy = Conversations(world.history, capacity=1_000_000)
    await written_of(roomy, runs)
    memory = Conversations(world.history, capacity=roomy.held + 3_000)
    written = await written_of(memory, runs)
    memory.acted(runs[1], "1-0", "x" * 4_000)
    second = asked(2, PAY)
    assert (await memory.conversation(runs[0], second)).written is not written[0]
    assert (await memory.conversation(runs[1], second)).written is written[1]
    assert world.history.reads == []


async def test_a_conversation_that_begins_anew_has_nothing_written(world: World) -> None:
    first = await world.conversations.conversation(RUN, asked(1))
    assert (await world.conversations.conversation(RUN, asked(1))).written is not first.written


async def test_a_run_that_has_answered_keeps_no_words_and_is_the_first_to_go(world: World) -> None:
    await remembers_two_steps(world)
    other = RunRef("other", "r")
    world.history.openings[other] = opening()
    memory = world.conversations
    await memory.opening(other)
    before = memory.held
    memory.answered(RUN)
    memory.answered(RunRef("unknown", "r"))
    assert memory.held < before
    assert list(memory.runs) == [RUN, other]
    assert await memory.opening(RUN) == opening(*(tool.spec for tool in world.tools.values()))
    assert world.history.openings_read == [RUN, other]


async def test_what_is_held_is_the_sum_of_what_is_remembered(world: World) -> None:
    chance = random.Random(7)
    memory = Conversations(world.history, capacity=40_000)
    refs = [RunRef(f"run-{number}", "r") for number in range(9)]
    for ref in refs:
        world.history.openings[ref] = opening()
    for _ in range(2_000):
        ref = chance.choice(refs)
        match chance.randrange(4):
            case 0:
                begun = await memory.conversation(ref, asked(1))
                begun.written.weight = chance.randrange(3_000)
                memory.decided(ref, asked(1), begun, PAY)
            case 1:
                memory.acted(ref, f"1-{chance.randrange(3)}", "x" * chance.randrange(4_000))
            case 2:
                memory.answered(ref)
            case _:
                await memory.opening(ref)
        assert memory.held == sum(memory.runs.values()) <= 40_000


class TestBefore:
    """What a run had said and read when it made a decision."""

    async def test_it_is_remembered_by_the_worker_that_made_the_decision(self, world: World) -> None:
        await remembers_two_steps(world)
        found = await world.conversations.before(RUN, 2, MAIL.digest(2))
        assert found.items == [GOAL, Decided(PAY), PAID, Decided(MAIL)]
        assert world.history.reads == []

    async def test_it_is_read_from_the_history_by_another_one(self, world: World) -> None:
        two_steps(world)
        found = await world.conversations.before(RUN, 2, MAIL.digest(2))
        assert found.items == [GOAL, Decided(PAY), PAID, Decided(MAIL)]

    async def test_an_earlier_decision_has_read_less(self, world: World) -> None:
        await remembers_two_steps(world)
        two_steps(world)
        assert (await world.conversations.before(RUN, 1, PAY.digest(1))).items == [GOAL, Decided(PAY)]

    async def test_a_decision_that_was_remembered_and_not_recorded_does_not_count(self, world: World) -> None:
        two_steps(world)
        first = await world.conversations.conversation(RUN, asked(1))
        world.conversations.decided(RUN, asked(1), first, OTHER)
        assert (await world.conversations.before(RUN, 1, "")).items == [GOAL, Decided(PAY)]

    @pytest.mark.parametrize(("step", "decision"), [(1, "another"), (3, ""), (4, "")])
    async def test_a_decision_that_the_history_does_not_hold_is_an_error(
        self, world: World, step: int, decision: str
    ) -> None:
        two_steps(world)
        with pytest.raises(HistoryError, match="does not show this decision"):
            await world.conversations.before(RUN, step, decision)

    async def test_what_results_said_is_kept_between_questions(self, world: World) -> None:
        two_steps(world)
        past = (await world.conversations.before(RUN, 1, "")).past
        assert (await world.conversations.before(RUN, 2, "")).past is past

    async def test_it_goes_before_any_conversation_does_and_with_its_own(self, world: World) -> None:
        runs = [RunRef(f"run-{number}", "r") for number in range(3)]
        for run in runs:
            world.history.openings[run] = opening()
        two_steps(world)
        memory = Conversations(world.history, capacity=3 * weight(opening()) + 60_000)
        found = {run: await memory.before(run, 2, "") for run in runs[:2]}
        for run in runs[:2]:
            await self._reads(found[run])
            await memory.opening(run)
        assert (await memory.before(runs[0], 2, "")).past is found[runs[0]].past
        world.history.openings_read.clear()
        size = 0
        while (await memory.before(runs[1], 2, "")).past is found[runs[1]].past:
            size += 200
            memory.acted(runs[0], "2-0", "x" * size)
        assert size > 0
        assert world.history.openings_read == []
        memory.acted(runs[0], "2-0", "x" * 600_000)
        await memory.opening(runs[0])
        assert world.history.openings_read == [runs[0]]

    async def _reads(self, found: Before) -> None:
        made = ProposedCall(call_id="2-0", tool="mail", arguments="{}")
        found.origins(Asked(made, tool_spec("mail"), {}, {}), Sourcing())

    async def test_a_worker_that_takes_a_long_run_over_reads_its_results_before_anybody_judges(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(conversation, "READ_AT_ONCE", 0)
        two_steps(world)
        assert (await world.conversations.before(RUN, 1, "")).past.weight == 0
        assert (await world.conversations.before(RUN, 2, "")).past.weight > 0

    async def test_a_worker_without_room_keeps_nothing_of_it(self, world: World) -> None:
        two_steps(world)
        memory = Conversations(world.history, capacity=0)
        first = await memory.before(RUN, 2, "")
        assert (await memory.before(RUN, 2, "")).past is not first.past
