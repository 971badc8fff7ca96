"""Brings a question of the model to its end: people answer it, and nobody executes anything."""

from dataclasses import replace

from backstay.kernel.approval import ApprovalEnd, ApprovalKind
from backstay.kernel.question import answered, unanswered

from .act import STOPPED, Ended
from .approve import Approvals
from .authorize import Judged
from .live import LiveRun
from .released import Released

WHY = "the model asks a person; the words are its own"


async def ask(run: LiveRun, approvals: Approvals, released: Released) -> Ended:
    """Waits for the answer of a person, or until nobody answered in time, which the model is told as well."""
    if not approvals.asked_before(released.call.call_id) and not await run.running.go_ahead():
        return Ended("cancelled", STOPPED, begun=False)
    settings = run.admission.approval
    group = settings.question or ""
    verdict = replace(released.verdict, groups=(group,), rules=(), reasons=(WHY,), grantable=None)
    asked = Judged(released.call, verdict, {group: settings.question_members})
    # While a person thinks the run may be killed, paused or run out of time.
    closed, answer = await approvals.put(asked, ApprovalKind.QUESTION)
    if answer is not None:
        return Ended("completed", answered(answer.answer, answer.by, answer.comment))
    if closed.end is ApprovalEnd.EXPIRED:
        return Ended("completed", unanswered())
    return Ended("cancelled", STOPPED, begun=False)
