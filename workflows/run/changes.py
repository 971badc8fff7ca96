"""The changes of the runtime that a run is carried on with: one recorded before a change goes on without it."""

from temporalio import workflow

ALL_SO_FAR = "a run knows from its first task on all changes up to December 2026"


def begin() -> None:
    """Takes down in the first task of a run that it knows all changes so far.

    A change that is asked for right after a local activity may be written into the next task of the workflow. A replay
    goes on at once after that activity, finds no answer there, and fails for ever.
    """
    workflow.patched(ALL_SO_FAR)


def knows(change: str) -> bool:
    """Tells whether the run is carried on with a change."""
    return workflow.patched(ALL_SO_FAR) or workflow.patched(change)
