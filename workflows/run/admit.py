"""Admits a run: what it may do and spend is fixed here, before anything happens."""

import json

from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.admission import Admission, AdmitInput
from backstay.contracts.run import RunRequest
from backstay.contracts.status import TranscriptItem
from backstay.kernel.events import Admitted

from .. import options
from .live import LiveRun
from .news import ITEM_OVERHEAD
from .record import Record
from .running import Running


async def ask_admission(request: RunRequest, record: Record, running: Running) -> Admission | None:
    """Asks a worker what the run is admitted with; returns None where the run was interrupted meanwhile.

    Raises:
        ApplicationError: of type `InvalidInput`, where the agent is unknown or a ceiling is exceeded.
    """
    given = AdmitInput(agent=request.agent, requested_by=request.requested_by, budget=request.budget)
    how: ActivityConfig = {**options.ADMIT, "activity_id": names.ADMIT, "summary": f"admit · {request.agent}"}
    try:
        return await running.execute(names.ADMIT, given, Admission, how)
    except ActivityError as error:
        if record.over:
            return None
        if isinstance(error.cause, ApplicationError):
            raise error.cause from None
        raise


def begin(run: LiveRun) -> None:
    """Records what the run was admitted with, and weighs what its first decision is asked with."""
    request, admission = run.request, run.admission
    run.record.say(TranscriptItem(kind="goal", text=request.goal))
    run.news.weigh(request.goal)
    run.news.weigh(admission.instructions)
    for tool in admission.tools:
        run.news.weigh(tool.name + tool.description + json.dumps(tool.parameters))
        run.news.size += ITEM_OVERHEAD
    run.apply(
        Admitted(
            agent=request.agent,
            agent_version=admission.agent_version,
            tenant=request.tenant,
            requested_by=request.requested_by,
            model=admission.model.name,
            limits=admission.limits,
            thresholds=admission.thresholds,
            price=admission.model.price,
            max_output_tokens=admission.model.max_output_tokens,
        )
    )
