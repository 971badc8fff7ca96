"""Runs a prepared call under its time limit, and says how it ended."""

import asyncio

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.call import RESULT_BYTES, ToolResult, shortened
from backstay.errors import OutcomeUnknownError, ToolError
from backstay.kernel.verdict import Verdict
from backstay.ports import Secrets

from .heartbeat import cancelled_at_all, cancelled_by_the_run
from .prepare import Prepared

ERROR_CHARACTERS = 2_000


async def executed(prepared: Prepared, secrets: Secrets) -> ToolResult:
    """The call's one result; a failed call is a result too.

    Raises:
        ApplicationError: of type `ToolTimeout`.
    """
    status, text, limit = await _run(prepared)
    # Freed of secrets first and cut then: a cut could leave a part of one that nobody finds.
    result = _cut(status, secrets.scrubbed(text), limit)
    return result.model_copy(update={"usd": _cost(prepared)})


def _cost(prepared: Prepared) -> int | None:
    """What the call may have cost, the attempts before this one included; None for a tool that costs nothing.

    What is idempotent is paid for once, however often it is tried.
    """
    spec = prepared.tool.spec
    lost = (activity.info().attempt - 1) * spec.cost if spec.effect == "read" else 0
    if prepared.costs:
        return lost + prepared.costs[-1]
    return lost + spec.cost if spec.cost else None


def denied(verdict: Verdict) -> ToolResult:
    """The result of a call that was refused at the last moment."""
    text = f"denied just before it was executed: {verdict.message or verdict.code.value}"
    return ToolResult(status="denied", text=text, verdict=verdict)


async def _run(prepared: Prepared) -> tuple[str, str, int]:
    """How the call ended, what the model reads of it, and how many bytes of that at most."""
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
            raise asyncio.CancelledError from None  # a tool may have put its own words, or a secret, into it
        status = "cancelled" if spec.effect == "read" else "unknown"
        return status, f"{status}: the run was stopped during the call", ERROR_CHARACTERS
    except BaseException as error:
        if limit.expired() and isinstance(error, TimeoutError):
            raise ApplicationError(f"no end within {spec.timeout:g} seconds", type=names.TOOL_TIMEOUT) from None
        return "failed", f"failed: {type(error).__name__}: {said(error)}", ERROR_CHARACTERS


def said(error: BaseException) -> str:
    """An error's own words; a tool may raise what cannot even say what it is."""
    try:
        return str(error)
    except BaseException:
        return "(the error cannot be written as text)"


def _cut(status: str, text: str, limit: int) -> ToolResult:
    shown, cut = shortened(text, limit)
    return ToolResult.model_validate({"status": status, "text": shown, "cut": cut})
