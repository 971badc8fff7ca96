"""A workflow that kills its run between the scheduling of an activity and the activity's first breath."""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, CancelledError

from backstay.contracts.decision import DecideFailure
from backstay.contracts.run import RunRequest
from backstay.kernel.events import Killed
from workflows.run.live import LiveRun


@workflow.defn
class KilledAtOnce:
    """Says how the activity ended."""

    @workflow.run
    async def run(self) -> str:
        run = LiveRun(RunRequest(goal="-"))
        given: Any = DecideFailure(lost_attempts=0)
        limit = timedelta(seconds=20)
        work = asyncio.create_task(run.execute("act", given, str, activity_id="a", start_to_close_timeout=limit))
        await asyncio.sleep(0)
        run.apply(Killed("olga", "enough"))
        try:
            return str(await work)
        except ActivityError as error:
            return "cancelled" if isinstance(error.cause, CancelledError) else "failed"
