"""Says how much a worker does at once: a fixed number of activities, or as many as memory and CPU allow."""

from collections.abc import Iterable

from temporalio.worker import (
    FixedSizeSlotSupplier,
    ResourceBasedSlotConfig,
    ResourceBasedSlotSupplier,
    ResourceBasedTunerConfig,
    WorkerConfig,
    WorkerTuner,
)

from backstay.settings import Targets

FIXED = 100
"""The tasks of a kind that the SDK takes at once where nobody says anything."""
AT_LEAST = 5
"""The activities that a worker takes whatever the machine says, so that none waits for ever."""
_FIXED = frozenset(
    {
        *("tuner", "max_concurrent_workflow_tasks", "max_concurrent_activities"),
        *("max_concurrent_local_activities", "max_concurrent_nexus_tasks"),
    }
)
"""The options that say it themselves."""


def with_slots(workers: Iterable[WorkerConfig], targets: Targets | int | None) -> list[WorkerConfig]:
    """Returns the options of workers of one process, with slots as the setting `slots` has it.

    INVARIANT: all of them measure the same memory and CPU, and each takes a few activities whatever they measure. A
    call that waits for a shared effect in a slot of one worker never keeps another worker from performing it.

    Args:
        workers: their options.
        targets: how much memory and CPU of the machine may be in use, or how many activities each worker takes at
            once; None leaves that number as the SDK has it.
    """
    return [one if targets is None or _FIXED & set(one) else {**one, "tuner": _tuner(targets)} for one in workers]


def _tuner(targets: Targets | int) -> WorkerTuner:
    # Tasks of workflows are short, and bring kills and answers of people: a full machine must take them.
    return WorkerTuner.create_composite(
        workflow_supplier=FixedSizeSlotSupplier(FIXED),
        activity_supplier=FixedSizeSlotSupplier(targets)
        if isinstance(targets, int)
        else ResourceBasedSlotSupplier(
            ResourceBasedSlotConfig(minimum_slots=AT_LEAST), ResourceBasedTunerConfig(targets.memory, targets.cpu)
        ),
        local_activity_supplier=FixedSizeSlotSupplier(FIXED),
        nexus_supplier=FixedSizeSlotSupplier(FIXED),
    )
