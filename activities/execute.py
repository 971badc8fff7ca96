"""Runs a prepared call under its time limit, and turns every end into a result."""

import asyncio

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.call import RESULT_BYTES, ToolResult, shortened
from backstay.errors import OutcomeUnknownError, ToolError
from backstay.kernel.verdict import Verdict
from backstay.ports import Secrets

from .heartbeat import cancelled_at_all, cancelled_by_the_run
from .prepare import PreparedCall

ERROR_CHARACTERS = 2_000


async def executed(prepared: PreparedCall, secrets: Secrets) -> ToolResult:
    """Runs the call and returns its one result; a failed call has one too.

    Raises:
        ApplicationError: of type `ToolTimeout`: the call had no end in time.
    """
    status, text, limit = await _run(prepared)
    # Scrubbed before it is cut: a cut could leave a part of a secret, which no scrubber finds.
    result = _cut(status, secrets.scrubbed(text), limit)
    return result.model_copy(update={"usd": _cost(prepared)})


def _cost(prepared: PreparedCall) -> int | None:
    """Adds up what all attempts may have cost, in micro-dollars; None for a tool that costs nothing.

    Only attempts at a `read` add up: the others share an idempotency key, and are paid for once.
    """
    spec = prepared.tool.spec
    lost = (activity.info().attempt - 1) * spec.cost if spec.effect == "read" else 0
    if prepared.costs:
        return lost + prepared.costs[-1]
    return lost + spec.cost if spec.cost else None


def denied(verdict: Verdict) -> ToolResult:
    """Returns the result of a call that was refused just before it was executed."""
    text = f"denied just before it was executed: {verdict.message or verdict.code.value}"
    return ToolResult(status="denied", text=text, verdict=verdict)


async def _run(prepared: PreparedCall) -> tuple[str, str, int]:
    """Runs the call; returns its status, the text for the model, and the most bytes of it."""
    spec = prepared.tool.spec
    limit = asyncio.timeout(spec.timeout)
    try:
        async with limit:
            return "completed", await prepared.tool.run(prepared.call, prepared.values), RESULT_BYTES
    except ToolError as error:
        return "failed", f"failed: {said(error)}", ERROR_CHARACTERS
    except OutcomeUnknownError as error:
        status = "failed" if spec.effect == "read" else "unknown"
        return status, f"the outcome is unknown: {said(error)}", ERROR_CHARACTERS
    except asyncio.CancelledError as error:
        if not cancelled_at_all():
            return "failed", f"failed: {type(error).__name__}: {said(error)}", ERROR_CHARACTERS
        if not cancelled_by_the_run():
            if spec.effect == "once":
                return "unknown", "the outcome is unknown: the worker stopped during the call", ERROR_CHARACTERS
            raise asyncio.CancelledError from None  # the tool may have put its own words, or a secret, into it
        status = "cancelled" if spec.effect == "read" else "unknown"
        return status, f"{status}: the run was stopped during the call", ERROR_CHARACTERS
    except BaseException as error:
        if limit.expired() and isinstance(error, TimeoutError):
            raise ApplicationError(f"no end within {spec.timeout:g} seconds", type=names.TOOL_TIMEOUT) from None
        return "failed", f"failed: {type(error).__name__}: {said(error)}", ERROR_CHARACTERS


def said(error: BaseException) -> str:
    """Returns an error's own words; a tool may raise an error that cannot be written as text."""
    try:
        return str(error)
    except BaseException:
        return "(the error cannot be written as text)"


def _cut(status: str, text: str, limit: int) -> ToolResult:
    shown, cut = shortened(text, limit)
    return ToolResult.model_validate({"status": status, "text": shown, "cut": cut})
