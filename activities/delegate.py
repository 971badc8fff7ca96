"""Finds out what became of a child run that was started before its parent was reset."""

import asyncio

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.delegate import ChildEnd, ChildRef
from backstay.errors import ForeignRunError, HistoryError
from backstay.ports import Starts

from .heartbeat import beating
from .prepare import this_run

LOOK_SECONDS = 0.5
FOREIGN = "not executed: another workflow has the id of the run that was to be asked"


class Delegate:
    """The activity `delegate`."""

    def __init__(self, starts: Starts) -> None:
        self._starts = starts

    @activity.defn(name=names.DELEGATE)
    async def delegate(self, child: ChildRef) -> ChildEnd:
        """Waits for the end of a child run, and returns it.

        Raises:
            ApplicationError: of type `HistoryError`, tried again: the engine could not be asked.
        """
        async with beating():
            try:
                return await self._end_of(child)
            except ForeignRunError:
                return ChildEnd(refused=FOREIGN)
            except HistoryError as error:
                raise ApplicationError(str(error), type=error.code) from error

    async def _end_of(self, child: ChildRef) -> ChildEnd:
        while True:
            end = await self._starts.end_of(this_run(), child)
            if end is not None:
                return end
            await asyncio.sleep(LOOK_SECONDS)
