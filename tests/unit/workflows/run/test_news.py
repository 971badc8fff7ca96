from backstay.contracts.decision import Observation
from workflows.run.news import ITEM_OVERHEAD, NOTE_BYTES, NOTES_BYTES, OMITTED, News


def test_a_result_is_weighed_by_its_bytes_and_an_overhead() -> None:
    news = News()
    news.observe(Observation(call_id="1-0"), "é")
    assert (news.size, [one.call_id for one in news.observations]) == (2 + ITEM_OVERHEAD, ["1-0"])


def test_half_of_a_surrogate_pair_is_weighed_too() -> None:
    news = News()
    news.weigh("\ud800")
    assert news.size == 1 + ITEM_OVERHEAD


def test_notes_are_cut_where_all_of_them_would_not_fit() -> None:
    news = News()
    news.note("a" * NOTES_BYTES)
    news.note("b" * 5_000)
    assert news.notes[0] == "a" * NOTES_BYTES
    assert news.notes[1].startswith("b" * NOTE_BYTES + "\n[cut here")


def test_results_are_left_out_where_the_budget_has_no_room_and_each_call_keeps_its_place() -> None:
    news = News()
    news.note("the end")
    news.weigh("said again")
    news.observe(Observation(call_id="1-0", digest="d"), "x" * 9_000)
    news.omit_results()
    assert news.observations == [Observation(call_id="1-0", text=OMITTED)]
    assert news.size == len(OMITTED) + len("the end") + len("said again") + 3 * ITEM_OVERHEAD
