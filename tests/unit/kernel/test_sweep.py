"""A sweep has ended when each run in scope is accounted for, and never before a late one can still appear."""

from backstay.kernel.sweep import AGAIN_MS, IN_FORCE_EVERYWHERE_MS, PATIENCE_MS, Sweep

BEGAN = 10_000
LATER = BEGAN + IN_FORCE_EVERYWHERE_MS


def test_a_run_is_told_once_and_again_only_after_it_had_time_to_obey() -> None:
    sweep = Sweep(BEGAN).listed(["b", "a"], BEGAN)
    assert sweep.due(BEGAN) == ["a", "b"]
    sweep = sweep.told(["a", "b"], BEGAN)
    assert sweep.due(BEGAN + AGAIN_MS - 1) == []
    assert sweep.listed(["b"], BEGAN + AGAIN_MS).due(BEGAN + AGAIN_MS) == ["b"]


def test_a_run_that_left_the_list_is_asked_after_until_it_is_accounted_for() -> None:
    sweep = Sweep(BEGAN).listed(["a", "b"], BEGAN).told(["a", "b"], BEGAN).listed(["b"], BEGAN + 500)
    assert sweep.gone == ["a"]
    assert sweep.account(["a"]).gone == []


def test_a_run_that_closed_before_it_was_told_is_asked_after_once() -> None:
    sweep = Sweep(BEGAN).listed([], LATER).closed(["a"], LATER)
    assert sweep.gone == ["a"]
    assert sweep.account(["a"]).listed([], LATER + 1_000).closed(["a"], LATER + 1_000).gone == []


def test_a_run_that_moves_again_is_no_longer_accounted_for() -> None:
    sweep = Sweep(BEGAN).listed(["a"], BEGAN).told(["a"], BEGAN).listed([], BEGAN + 500).account(["a"])
    assert sweep.listed(["a"], BEGAN + 900).accounted == frozenset()


def test_it_ends_with_two_lists_a_second_apart_in_which_nothing_moves() -> None:
    sweep = Sweep(BEGAN).listed([], LATER)
    assert not sweep.has_ended(LATER, [])
    assert not sweep.listed([], LATER + 999).has_ended(LATER + 999, [])
    assert sweep.listed([], LATER + 1_000).has_ended(LATER + 1_000, [])


def test_a_run_that_appears_between_two_lists_begins_the_wait_anew() -> None:
    sweep = Sweep(BEGAN).listed([], LATER).listed(["a"], LATER + 500).told(["a"], LATER + 500)
    sweep = sweep.listed([], LATER + 1_000).account(["a"])
    assert not sweep.has_ended(LATER + 1_000, [])
    assert sweep.listed([], LATER + 2_000).has_ended(LATER + 2_000, [])


def test_lists_that_were_begun_while_a_worker_may_not_know_of_the_stop_do_not_count() -> None:
    sweep = Sweep(BEGAN).listed([], LATER - 1).listed([], LATER + 500)
    assert not sweep.has_ended(LATER + 500, [])


def test_it_does_not_end_while_a_run_is_not_accounted_for() -> None:
    sweep = Sweep(BEGAN).listed(["a"], BEGAN).told(["a"], BEGAN).listed([], LATER).listed([], LATER + 2_000)
    assert not sweep.has_ended(LATER + 2_000, [])
    assert sweep.account(["a"]).has_ended(LATER + 2_000, [])


def test_it_ends_with_runs_that_do_not_obey_once_all_had_time() -> None:
    sweep = Sweep(BEGAN).listed(["a"], BEGAN).told(["a"], BEGAN)
    assert sweep.late(BEGAN + PATIENCE_MS - 1) == []
    assert not sweep.has_ended(BEGAN + PATIENCE_MS - 1, [])
    assert sweep.late(BEGAN + PATIENCE_MS) == ["a"]
    assert sweep.has_ended(BEGAN + PATIENCE_MS, ["a"])


def test_it_does_not_end_before_the_report_names_each_run_that_does_not_obey() -> None:
    sweep = Sweep(BEGAN).listed(["a", "b"], BEGAN).told(["a", "b"], BEGAN)
    assert sweep.late(BEGAN + PATIENCE_MS) == ["a", "b"]
    assert not sweep.has_ended(BEGAN + PATIENCE_MS, [])
    assert not sweep.has_ended(BEGAN + PATIENCE_MS, ["a", "c"])
    assert sweep.has_ended(BEGAN + PATIENCE_MS, ["a", "b", "c"])


def test_while_runs_obey_one_after_the_other_none_of_the_rest_is_late() -> None:
    sweep = Sweep(BEGAN).listed(["a", "b", "c"], BEGAN).told(["a", "b", "c"], BEGAN)
    sweep = sweep.listed(["b", "c"], BEGAN + PATIENCE_MS - 1).account(["a"])
    assert (sweep.late(BEGAN + PATIENCE_MS), sweep.has_ended(BEGAN + PATIENCE_MS, [])) == ([], False)
    assert sweep.late(BEGAN + 2 * PATIENCE_MS) == ["b", "c"]
