"""The view of a conversation that the model reads: older turns in short, the goal and the last turns verbatim."""

from activities.compacted import (
    as_read,
    bound,
    compaction_of,
    digest_of,
    instead,
    labels_of,
    plain,
    size_of,
    sizes,
    turns_of,
)
from backstay.contracts.conversation import Compacted, Decided, Item, Kept, Observed, Said
from backstay.contracts.decision import Compaction, Decision, ProposedCall
from backstay.kernel.marks import Marks

from .fakes import opening, tool_spec

GOAL = Said("Refund order A17.")
LONG = "x" * 500


def turn(step: int, text: str = LONG, *notes: str, labels: tuple[str, ...] = ()) -> list[Item]:
    """A turn: a call, its result, and notes of the runtime."""
    call = ProposedCall(call_id=f"{step}-0", tool="pay", arguments="{}")
    said = [Said(note) for note in notes]
    return [Decided(Decision(calls=[call])), Observed(call.call_id, text, labels=labels), *said]


THREE: list[Kept] = [GOAL, *turn(1, LONG, "The runtime says: hurry."), *turn(2), *turn(3)]


def marked(compaction: Compaction) -> list[Kept]:
    """The same conversation, in which a compaction holds."""
    return [*THREE, Compacted(compaction)]


def test_without_a_compaction_the_whole_conversation_is_read() -> None:
    assert as_read(THREE) == tuple(THREE)
    assert compaction_of(THREE) is None


def test_a_summary_stands_in_place_of_whole_turns_in_the_models_own_voice() -> None:
    goal, summary, note, *rest = as_read(marked(Compaction(dropped=2, through=2, summary="I paid.", labels=["secret"])))
    assert goal == GOAL
    assert summary == Decided(Decision(text="I paid."))
    assert isinstance(note, Said)
    assert "2 of your turns were replaced by your own summary" in note.text
    assert "labelled secret" in note.text
    assert "The runtime says: hurry." in note.text
    assert rest == turn(3)


def test_truncated_turns_keep_their_calls_and_lose_the_texts_of_their_results() -> None:
    goal, _, seen, note, *rest = as_read(marked(Compaction(dropped=0, through=1)))
    assert goal == GOAL
    assert isinstance(seen, Observed)
    assert (seen.call_id, seen.text.startswith("[left out")) == ("1-0", True)
    assert note == Said("The runtime says: hurry.")
    assert rest == [*turn(2), *turn(3)]


def test_turns_that_are_left_out_are_said_to_be() -> None:
    _, note, *rest = as_read(marked(Compaction(dropped=1, through=1)))
    assert isinstance(note, Said)
    assert "1 of your turns are not shown" in note.text
    assert rest == [*turn(2), *turn(3)]


def test_short_results_stay_because_a_note_would_be_longer() -> None:
    kept: list[Kept] = [GOAL, *turn(1, "ok"), *turn(2)]
    assert as_read(kept, Compaction(dropped=0, through=1)) == tuple(kept)


def test_the_last_compaction_holds_and_all_items_stay() -> None:
    first, second = Compaction(dropped=1, through=1), Compaction(dropped=2, through=2)
    kept: list[Kept] = [*marked(first), Compacted(second)]
    assert compaction_of(kept) == second
    assert plain(kept) == THREE


def test_a_result_that_does_not_fit_the_window_is_cut_once() -> None:
    seen = Observed("1-0", LONG, shown=100)
    decided = turn(1)[0]
    read = as_read([GOAL, decided, seen])
    cut = read[2]
    assert isinstance(cut, Observed)
    assert cut.text.startswith("x" * 100 + "\n[cut here: 500 bytes")
    assert as_read(read) == read


def test_of_many_words_of_the_runtime_the_latest_stay_each_once() -> None:
    notes = [*(f"note {n} {'y' * 1_500}" for n in range(5)), "slower", "slower"]
    turns = turns_of([GOAL, *turn(1, LONG, *notes), *turn(2)])
    [note] = instead(turns, Compaction(dropped=1, through=1))
    assert isinstance(note, Said)
    assert note.text.count("slower") == 1
    assert "note 4" in note.text
    assert "note 0" not in note.text


def test_nothing_stands_in_place_of_nothing() -> None:
    assert instead(turns_of(plain(THREE)), Compaction(dropped=0, through=2)) == []


def test_sizes_bound_each_turn_by_bytes() -> None:
    turns = turns_of(plain(THREE))
    first, *_ = sizes(turns)
    assert first.whole == size_of(turns[1])
    assert 300 < first.whole - first.thin < 500
    assert bound("ä") == 2 + 64


def test_arguments_in_another_spelling_count_too() -> None:
    odd = Decided(Decision(calls=[ProposedCall(call_id="1-0", tool="pay", arguments='{"a": ', wire_id="w" * 100)]))
    assert size_of([odd]) > len(odd.decision.model_dump_json()) + 100


def test_labels_are_those_of_tools_and_of_child_runs_but_not_of_refusals() -> None:
    started = opening(tool_spec(marks=Marks({"untrusted": ()})))
    turns = turns_of([GOAL, *turn(1, labels=("private",))])
    assert labels_of(turns[1:], started) == ["private", "untrusted"]
    refused: list[Item] = [turn(2)[0], Observed("2-0", "no", refused=True)]
    assert labels_of([refused], started) == []


def test_a_digest_tells_conversations_apart() -> None:
    assert digest_of(turn(1)) == digest_of(turn(1)) != digest_of(turn(1, "other"))
