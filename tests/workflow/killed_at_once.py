"""A workflow that kills its run between the scheduling of an activity and the activity's first breath."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, CancelledError
from temporalio.workflow import ActivityConfig

from backstay.contracts.decision import LostAttempts
from backstay.kernel.events import Killed
from workflows.run.record import Record
from workflows.run.running import Running


@workflow.defn
class KilledAtOnce:
    """Says how the activity ended."""

    @workflow.run
    async def run(self) -> str:
        record = Record(workflow.now)
        running = Running(record)
        record.heed(running.heed)
        given = LostAttempts(lost_attempts=0)
        how: ActivityConfig = {"activity_id": "a", "start_to_close_timeout": timedelta(seconds=20)}
        work = asyncio.create_task(running.execute("act", given, LostAttempts, how))
        await asyncio.sleep(0)
        record.apply(Killed("olga", "enough"))
        try:
            return str(await work)
        except ActivityError as error:
            return "cancelled" if isinstance(error.cause, CancelledError) else "failed"
