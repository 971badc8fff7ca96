"""The changes of the runtime that a run is carried on with: one recorded before a change goes on without it."""

from temporalio import workflow

ALL_SO_FAR = "a run knows from its first task on all changes up to verdicts by activities"
ALL_BEFORE = "a run knows from its first task on all changes up to December 2026"


def begin() -> None:
    """Takes down in the first task of a run that it knows all changes so far.

    A change that is asked for right after a local activity may be written into the next task of the workflow. A replay
    goes on at once after that activity, finds no answer there, and fails for ever.
    """
    _knows_all()


def knows(change: str) -> bool:
    """Tells whether the run is carried on with a change."""
    return _knows_all() or workflow.patched(change)


def judges_by_activities() -> bool:
    """Tells whether the run asks for its verdicts by activities; one of before asks for them inside of its tasks.

    INVARIANT: a run has no local activity. A query that comes with a task ends the task as soon as it is answered, and
    the end of the local activity then reaches the run in the next task, after the messages that came meanwhile. A
    replay lets it end where it began: before them, and at another time.
    """
    return workflow.patched(ALL_SO_FAR)


def publishes_again() -> bool:
    """Tells whether a run publishes again what was cleared with the claims of its start; one of before does not."""
    return workflow.patched(ALL_SO_FAR)


def _knows_all() -> bool:
    return workflow.patched(ALL_SO_FAR) or workflow.patched(ALL_BEFORE)
