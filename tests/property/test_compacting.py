"""The choice of what is compacted: turns whole, in order, and never more left than there is room for."""

from hypothesis import given
from hypothesis import strategies as st

from backstay.kernel.compacting import Cut, TurnSize, size_after, summarised, truncated

SIZES = st.builds(lambda thin, results: TurnSize(thin + results, thin), st.integers(1, 3_000), st.integers(0, 20_000))
TURNS = st.lists(SIZES, min_size=1, max_size=40)
ROOMS = st.integers(1, 60_000)


@st.composite
def cuts(draw: st.DrawFn) -> tuple[list[TurnSize], Cut]:
    """Turns, some of which were compacted before."""
    turns = draw(TURNS)
    through = draw(st.integers(0, len(turns) - 1))
    return turns, Cut(draw(st.integers(0, through)), through)


@given(cuts(), ROOMS)
def test_the_last_turn_stays_and_nothing_that_was_left_out_comes_back(
    given: tuple[list[TurnSize], Cut], room: int
) -> None:
    turns, before = given
    for cut in (summarised(turns, room, before), truncated(turns, room, before)):
        if cut is not None:
            assert before.dropped <= cut.dropped <= cut.through < len(turns)
            assert cut != before


@given(cuts(), ROOMS)
def test_what_truncating_leaves_fits_the_room_unless_the_verbatim_turn_alone_does_not(
    given: tuple[list[TurnSize], Cut], room: int
) -> None:
    turns, before = given
    cut = truncated(turns, room, before) or before
    fits = size_after(turns, cut) <= room
    assert fits or cut.dropped == cut.through


@given(TURNS, ROOMS)
def test_what_a_summary_leaves_verbatim_fits_half_of_the_room_or_is_the_last_turn(
    turns: list[TurnSize], room: int
) -> None:
    cut = summarised(turns, room, Cut())
    if cut is not None:
        assert cut.through == len(turns) - 1 or size_after(turns, cut) <= room // 2


@given(cuts(), ROOMS)
def test_truncating_again_with_as_much_room_changes_nothing(given: tuple[list[TurnSize], Cut], room: int) -> None:
    turns, before = given
    cut = truncated(turns, room, before)
    if cut is not None:
        assert truncated(turns, room, cut) is None
