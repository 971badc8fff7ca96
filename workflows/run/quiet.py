"""Leaves something in the history with every task that changes the run: a replay tells apart only such tasks.

Where two tasks in a row leave nothing, and the next one was begun by an update, a replay takes the second for a sign of
life of the engine, and plays it together with the third: at another time, and after the update.
"""

from collections.abc import Callable

from temporalio import workflow

from .changes import judges_by_activities

RECORDS = "backstay.records"
"""The name in the memo of how many audit records the run had after a task that left nothing else."""
ROUNDS = 12
"""So often all else of a task goes on before it counts as one that leaves nothing; too few leave more than needed."""


class Quiet:
    """Knows whether the present task of the workflow leaves something in the history.

    INVARIANT: it depends on nothing but what happens in one task, so that a replay leaves the same.
    """

    def __init__(self, length: Callable[[], int] = lambda: 0) -> None:
        """Begins.

        Args:
            length: tells the number of events that the history has with the present task.
        """
        self._length = length
        self._changed = False
        self._left_at = 0

    def changed(self) -> None:
        """Notes that something has changed which others read: a record, or what an activity has answered."""
        self._changed = True

    def left(self) -> None:
        """Notes that the task leaves something in the history."""
        self._left_at = self._length()

    async def guard(self, records: Callable[[], int]) -> None:
        """Leaves the number of audit records with each task that changes something and leaves nothing else."""
        if not judges_by_activities():
            return
        while True:
            await workflow.wait_condition(lambda: self._changed)
            if not await self._leaves():
                workflow.upsert_memo({RECORDS: records()})
                self.left()
            self._changed = False

    async def _leaves(self) -> bool:
        """Lets all else of the task go on first."""
        for _ in range(ROUNDS):
            if self._left_at == self._length():
                return True
            await workflow.wait_condition(lambda: True)
        return False
