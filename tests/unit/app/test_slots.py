"""How many tasks the workers of a process take: as before unless told otherwise, and never none."""

from typing import Any

import pytest
from temporalio.worker import (
    FixedSizeSlotSupplier,
    ResourceBasedSlotConfig,
    ResourceBasedSlotSupplier,
    ResourceBasedTunerConfig,
    WorkerConfig,
    WorkerTuner,
)

from backstay.app.slots import AT_LEAST, FIXED, with_slots
from backstay.settings import Targets

RUNS: WorkerConfig = {"task_queue": "agents", "max_cached_workflows": 10}
EFFECTS: WorkerConfig = {"task_queue": "agents-effects"}


def test_without_targets_nothing_changes() -> None:
    assert with_slots([RUNS, EFFECTS], None) == [RUNS, EFFECTS]


def test_activities_of_each_worker_follow_the_machine_and_a_few_run_whatever_it_says() -> None:
    made = with_slots([RUNS, EFFECTS], Targets(0.7, 0.6))
    assert [one.get("task_queue") for one in made] == ["agents", "agents-effects"]
    activities = ResourceBasedSlotSupplier(ResourceBasedSlotConfig(AT_LEAST), ResourceBasedTunerConfig(0.7, 0.6))
    for one in made:
        tuner = one.get("tuner")
        assert tuner is not None
        assert tuner._get_activity_task_slot_supplier() == activities


def test_a_number_of_activities_is_that_of_each_worker() -> None:
    for made in with_slots([RUNS, EFFECTS], 1_200):
        tuner = made.get("tuner")
        assert tuner is not None
        assert tuner._get_activity_task_slot_supplier() == FixedSizeSlotSupplier(1_200)
        assert tuner._get_workflow_task_slot_supplier() == FixedSizeSlotSupplier(FIXED)


def test_tasks_of_workflows_keep_their_number_so_that_a_full_machine_obeys_a_kill() -> None:
    [made] = with_slots([RUNS], Targets())
    tuner = made.get("tuner")
    assert tuner is not None
    assert tuner._get_workflow_task_slot_supplier() == FixedSizeSlotSupplier(FIXED)
    assert tuner._get_local_activity_task_slot_supplier() == FixedSizeSlotSupplier(FIXED)


@pytest.mark.parametrize(
    "option",
    [{"max_concurrent_activities": 3}, {"max_concurrent_workflow_tasks": 3}, {"tuner": WorkerTuner.create_fixed()}],
)
def test_a_worker_whose_options_say_it_themselves_keeps_them(option: Any) -> None:
    given: Any = {**RUNS, **option}
    assert with_slots([given], Targets()) == [given]


def test_a_number_of_polls_says_nothing_of_tasks() -> None:
    [made] = with_slots([{**RUNS, "max_concurrent_activity_task_polls": 1}], Targets())
    assert "tuner" in made
