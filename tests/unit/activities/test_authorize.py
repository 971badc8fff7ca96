"""`authorize`: one verdict per call of a decision, small enough for one event of the history."""

from activities.authorize import WORDS_BYTES
from backstay.kernel.verdict import Code, Outcome

from .fakes import ASK_FINANCE, Answer
from .world import World, proposed


async def test_every_call_has_its_verdict_in_the_order_asked(world: World) -> None:
    calls = [proposed(), proposed("mail", call_id="1-1"), proposed(arguments="{", call_id="1-2")]
    verdicts = (await world.authorized(*calls)).verdicts
    assert [verdict.code for verdict in verdicts] == [Code.PERMITTED, Code.UNKNOWN_TOOL, Code.INVALID_ARGS]


async def test_a_decision_without_calls_needs_no_verdict(world: World) -> None:
    result = await world.authorized()
    assert (result.verdicts, result.members) == ([], {})


async def test_the_members_of_the_groups_that_are_asked_for_are_recorded(world: World) -> None:
    world.gate.groups = {"finance": ["ann", "bob"], "ops": ["olga"]}
    world.gate.answer = ASK_FINANCE
    assert (await world.authorized(proposed())).members == {"finance": ["ann", "bob"]}


async def test_a_group_that_is_needed_twice_is_one_group(world: World) -> None:
    world.gate.groups = {"finance": ["ann", "bob"]}
    world.gate.answer = Answer(Outcome.REQUIRE_APPROVAL, Code.NEEDS_APPROVAL, groups=("finance:2",))
    assert (await world.authorized(proposed(), proposed(call_id="1-1"))).members == {"finance": ["ann", "bob"]}


async def test_the_words_of_many_verdicts_share_the_room_of_one_event(world: World) -> None:
    world.gate.groups = {"finance": ["ann"]}
    rules = tuple(f"rule-{number:02}" for number in range(30))
    reasons = tuple("é" * 500 for _ in rules)
    world.gate.answer = Answer(
        Outcome.REQUIRE_APPROVAL, Code.NEEDS_APPROVAL, rules, "é" * 1_000, ("finance",), reasons, "é" * 500
    )
    calls = [proposed(call_id=f"1-{number}") for number in range(100)]
    verdicts = (await world.authorized(*calls)).verdicts
    words = [text for verdict in verdicts for text in (verdict.message, verdict.observed, *verdict.reasons)]
    assert WORDS_BYTES * 0.9 < sum(len(text.encode()) for text in words) <= WORDS_BYTES
    assert set("".join(words)) == {"é"}
    assert all(verdict.rules == rules and verdict.groups == ("finance",) for verdict in verdicts)


async def test_the_words_of_one_verdict_stay_whole(world: World) -> None:
    world.gate.answer = Answer(
        Outcome.DENY, Code.FORBIDDEN, ("r",), "closed on Sundays", (), ("it is Sunday",), "would deny"
    )
    [verdict] = (await world.authorized(proposed())).verdicts
    assert (verdict.message, verdict.reasons, verdict.observed) == (
        "closed on Sundays",
        ("it is Sunday",),
        "would deny",
    )
