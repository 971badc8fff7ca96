"""Waits until a run may be one of those at once, where their number is limited: nothing of it is done before.

A run without such a limit does nothing of this: no activity, no event. One that waits asks its ledger seldom, so that
its history stays short however long it waits: the ledger calls it.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from temporalio import workflow
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.ledger import EnqueueInput, EnqueueResult, LedgerRef
from backstay.kernel.keys import enqueue_id
from backstay.kernel.ledger_queue import Place

from .. import options
from .ledgers import RunLedgers
from .live import LiveRun
from .words import summary

_FIRST_PAUSE = timedelta(seconds=15)
_LONGEST_PAUSE = timedelta(minutes=15)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Turn:
    """The turn of a run: it is among those at once, or waits for it."""

    def __init__(self, run: LiveRun, ledgers: RunLedgers) -> None:
        self._run = run
        self._ledgers = ledgers
        self._asked = 0
        self._called = False

    def call(self) -> None:
        """Lets the run ask whether its turn has come."""
        self._called = True

    async def come(self) -> bool:
        """Waits until the run may go on; returns False where it was interrupted before."""
        self._run.clock.begins_to_queue()
        pause, waits_in = _FIRST_PAUSE, None
        while (result := await self._ask(waits_in)) and result.place is not None:
            waits_in = result.waits_in
            await self._wait(result.place, pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        self._run.clock.has_its_turn()
        return result is not None and not self._run.record.over

    async def _ask(self, waits_in: LedgerRef | None) -> EnqueueResult | None:
        """Asks the ledgers; returns None where the run was interrupted: a ledger may count it all the same."""
        run, info = self._run, workflow.info()
        if run.record.over:
            return None
        self._called = False
        self._asked += 1
        given = EnqueueInput(
            holder=run.key,
            tenant=run.request.tenant,
            agent=run.request.agent,
            started_us=(info.workflow_start_time - _EPOCH) // timedelta(microseconds=1),
            waits_in=waits_in,
        )
        how: ActivityConfig = {
            **options.ENQUEUE,
            "activity_id": enqueue_id(self._asked),
            "summary": summary("turn", "may the run go on?"),
        }
        # Whatever comes of it: a ledger that never heard of the run takes its end lightly.
        self._ledgers.know(self._ledgers.all)
        return await self._ledgers.answered(lambda: run.running.execute(names.ENQUEUE, given, EnqueueResult, how))

    async def _wait(self, place: Place, pause: timedelta) -> None:
        """Shows the run's place, until the ledger calls the run, or for a time; or until the run is interrupted."""
        record, words = self._run.record, _words(place)
        record.waits_for(words)
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._called or record.interrupted,
                timeout=pause,
                timeout_summary="before the run asks again for its turn",
            )
        record.waits_no_more(words)


def _words(place: Place) -> str:
    at = f"place {place.number} in the queue at {workflow.now():%H:%M:%S} UTC"
    if not place.limit:
        return f"{at}: it is being found out which runs go on already"
    return f"{at}: {place.most} at once, by the limit {place.limit}"
