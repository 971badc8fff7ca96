"""Admits a run: what it may do and spend is fixed here, before anything happens."""

import json
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.admission import Admission, AdmitInput
from backstay.contracts.delegate import parent_of
from backstay.contracts.proof import START, SignedMessage, VerifyInput
from backstay.contracts.run import RunRequest
from backstay.contracts.status import TranscriptItem
from backstay.kernel.events import Admitted, ClaimProven, Tainted
from backstay.kernel.markdown import inert

from .. import options
from .live import LiveRun
from .news import ITEM_OVERHEAD
from .record import Record
from .running import Running
from .words import summary

_FIRST_PAUSE = timedelta(seconds=0.25)
_LONGEST_PAUSE = timedelta(seconds=5)


async def ask_admission(request: RunRequest, record: Record, running: Running) -> Admission | None:
    """Asks a worker what the run is admitted with; returns None where the run was interrupted meanwhile.

    Where nobody knows what the control plane has in force, the run waits until somebody does.

    Raises:
        ApplicationError: of type `InvalidInput`, where the agent is unknown or a ceiling is exceeded; of type
            `IncidentStop`, where a stop covers the run.
    """
    given = AdmitInput(
        agent=request.agent,
        tenant=request.tenant,
        requested_by=request.requested_by,
        budget=request.budget,
        proof=_proof(request),
        parent=parent_of(request),
    )
    how: ActivityConfig = {
        **options.ADMIT,
        "activity_id": names.ADMIT,
        "summary": summary(inert(request.agent), f"tenant {inert(request.tenant)}"),
    }
    pause = _FIRST_PAUSE
    while True:
        try:
            return await running.execute(names.ADMIT, given, Admission, how)
        except ActivityError as error:
            if record.over:
                return None
            if not isinstance(error.cause, ApplicationError):
                raise
            if error.cause.type != names.HELD:
                raise error.cause from None
            held = error.cause.message
        record.waits_for(held)
        interrupted = await running.interrupted_within(pause)
        record.waits_no_more(held)
        if interrupted:
            return None
        pause = min(2 * pause, _LONGEST_PAUSE)


def _proof(request: RunRequest) -> VerifyInput | None:
    """Returns the proof of the start, which is as old as it was when the engine took the start."""
    if request.proof is None or parent_of(request) is not None:
        return None
    info = workflow.info()
    signed = SignedMessage(namespace=info.namespace, run_id=info.workflow_id, message=START, content=request.content())
    at_ms = int(info.start_time.timestamp() * 1000)
    return VerifyInput(signed=signed, by=request.requested_by, proof=request.proof, at_ms=at_ms)


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
    if admission.proven and request.requested_by is not None:
        run.apply(ClaimProven(START, request.requested_by))
    for taint in parent.taint if (parent := parent_of(request)) else ():
        run.apply(Tainted(names.PARENT, taint))
