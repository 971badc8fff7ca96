"""Admits a run: what it may do and spend is fixed here, before anything happens."""

import json

from temporalio.exceptions import ActivityError, ApplicationError

from backstay.contracts import names
from backstay.contracts.admission import Admission, AdmitInput
from backstay.kernel.events import Admitted

from .. import options
from .live import ITEM_OVERHEAD, LiveRun


async def admit(run: LiveRun) -> Admission | None:
    """Lets the worker admit the run, and records with what; None where the run was interrupted meanwhile.

    Raises:
        ApplicationError: of type `InvalidInput`, where the agent is unknown or a ceiling is exceeded.
    """
    request = run.request
    given = AdmitInput(agent=request.agent, requested_by=request.requested_by, budget=request.budget)
    try:
        admission: Admission = await run.execute(
            names.ADMIT, given, Admission, activity_id=names.ADMIT, summary=f"admit · {request.agent}", **options.ADMIT
        )
    except ActivityError as error:
        if run.over:
            return None
        if isinstance(error.cause, ApplicationError):
            raise error.cause from None
        raise
    run.admitted(admission)
    run.say("goal", text=request.goal)
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
    return admission
