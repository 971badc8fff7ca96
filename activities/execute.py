"""Runs a prepared call under its time limit, and turns every end into a result."""

import asyncio
from dataclasses import dataclass

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.admission import ToolSpec
from backstay.contracts.asked import Asked
from backstay.contracts.call import RESULT_BYTES, ServerChange, ToolResult, shortened
from backstay.errors import (
    AskedError,
    CallLostError,
    NothingDoneError,
    OutcomeUnknownError,
    SchemaDriftError,
    ToolError,
)
from backstay.kernel.verdict import Code, Outcome, Verdict
from backstay.ports import Secrets

from .heartbeat import cancelled_at_all, cancelled_by_the_run
from .prepare import PreparedCall
from .unclear import says_nothing

ERROR_CHARACTERS = 2_000


async def executed(allowed: Verdict, prepared: PreparedCall, secrets: Secrets) -> ToolResult:
    """Runs the call and returns its one result; a failed call has one too.

    Args:
        allowed: the verdict that let it through.
        prepared: the call.
        secrets: know what to take out of its texts.

    Raises:
        ApplicationError: of type `ToolTimeout`: the call had no end in time. Of type `ToolLost`: the other side was
            lost, and the call may be repeated.
        NothingDoneError: the call was certainly not sent.
    """
    try:
        end = await _run(prepared)
    except SchemaDriftError as error:
        told = secrets.scrubbed(said(error))[:ERROR_CHARACTERS]
        drift = Verdict(Outcome.DENY, Code.SCHEMA_DRIFT, allowed.digest, allowed.policy_version, message=told)
        return denied(drift, prepared.tool.spec, prepared.attempt)
    # Scrubbed before it is cut: a cut could leave a part of a secret, which no scrubber finds.
    result = _cut(end.status, secrets.scrubbed(end.text), end.limit)
    told = {"usd": _cost(prepared), "unclear": end.unclear, "alarm": prepared.alarm.words, "asked": end.asked}
    return result.model_copy(update={**told, "server": _server(prepared, secrets)})


def _server(prepared: PreparedCall, secrets: Secrets) -> ServerChange | None:
    """Returns the last news that the server of a tool is another one, and tells the log; None where there are none."""
    if not prepared.servers:
        return None
    was, now = secrets.scrubbed(prepared.servers[-1].was), secrets.scrubbed(prepared.servers[-1].now)
    words = "the server of the tool `%s` is `%s` now, and was `%s` when the worker started; the tool is the same"
    activity.logger.warning(words, prepared.tool.spec.name, now, was)
    return ServerChange(was=was, now=now)


def _cost(prepared: PreparedCall) -> int | None:
    """Adds up what all attempts may have cost, in micro-dollars; None for a tool that costs nothing.

    Only attempts at a `read` add up: the others share an idempotency key, and are paid for once.
    """
    spec = prepared.tool.spec
    lost = (prepared.attempt - 1) * spec.cost if spec.effect == "read" else 0
    if prepared.costs:
        return lost + prepared.costs[-1]
    return lost + spec.cost if spec.cost else None


def denied(verdict: Verdict, tool: ToolSpec | None, attempt: int) -> ToolResult:
    """Returns the result of a call that was refused just before it was executed.

    What an earlier attempt began is not undone by a refusal, so that nobody knows then what became of it.

    Args:
        verdict: the refusal.
        tool: the tool as it was admitted; None where the run has none of that name.
        attempt: the number of this attempt.
    """
    if tool is not None and tool.effect != "read" and attempt > 1:
        return ToolResult(status="unknown", text="the outcome is unknown: it is denied now, and an attempt had begun")
    text = f"denied just before it was executed: {verdict.message or verdict.code.value}"
    return ToolResult(status="denied", text=text, verdict=verdict)


def withdrawn(attempt: int) -> ToolResult:
    """Returns the result of a call that its run no longer wanted just before it was executed.

    Nobody knows what became of what an earlier attempt began.
    """
    if attempt > 1:
        return ToolResult(
            status="unknown", text="the outcome is unknown: the run was stopped, and an attempt had begun"
        )
    return ToolResult(status="cancelled", text="cancelled: the run was stopped before the call began")


@dataclass(frozen=True, slots=True)
class _End:
    """The end of a call: its status, the text for the model with the most bytes of it, and more as in `ToolResult`."""

    status: str
    text: str
    limit: int = ERROR_CHARACTERS
    unclear: bool = False
    asked: Asked | None = None


async def _run(prepared: PreparedCall) -> _End:
    """Runs the call to its end."""
    spec = prepared.tool.spec
    limit = asyncio.timeout(spec.timeout)
    try:
        async with limit:
            return _End("completed", await prepared.tool.run(prepared.call, prepared.values), RESULT_BYTES)
    except (NothingDoneError, SchemaDriftError):
        raise
    except AskedError as error:
        return _End("failed", f"failed: {said(error)}", asked=error.asked)
    except ToolError as error:
        return _End("failed", f"failed: {said(error)}")
    except CallLostError as error:
        if spec.effect == "once":
            return _End("unknown", f"the outcome is unknown: {said(error)}")
        raise ApplicationError(said(error)[:ERROR_CHARACTERS], type=names.TOOL_LOST) from None
    except OutcomeUnknownError as error:
        status = "failed" if spec.effect == "read" else "unknown"
        return _End(status, f"the outcome is unknown: {said(error)}", unclear=status == "failed")
    except asyncio.CancelledError as error:
        if not cancelled_at_all():
            return _ended_by(error, spec)
        if not cancelled_by_the_run():
            if spec.effect == "once":
                return _End("unknown", "the outcome is unknown: the worker stopped during the call")
            raise asyncio.CancelledError from None  # the tool may have put its own words, or a secret, into it
        status = "cancelled" if spec.effect == "read" else "unknown"
        return _End(status, f"{status}: the run was stopped during the call")
    except BaseException as error:
        if limit.expired() and isinstance(error, TimeoutError):
            raise ApplicationError(f"no end within {spec.timeout:g} seconds", type=names.TOOL_TIMEOUT) from None
        return _ended_by(error, spec)


def _ended_by(error: BaseException, spec: ToolSpec) -> _End:
    """Returns the end of a call by an error that is none of ours.

    What must happen once may have happened where the error says nothing of it.
    """
    told, unclear = f"{type(error).__name__}: {said(error)}", says_nothing(error)
    if spec.effect == "once" and unclear:
        return _End("unknown", f"the outcome is unknown: {told}")
    return _End("failed", f"failed: {told}", unclear=unclear)


def said(error: BaseException) -> str:
    """Returns an error's own words; a tool may raise an error that cannot be written as text."""
    try:
        return str(error)
    except BaseException:
        return "(the error cannot be written as text)"


def _cut(status: str, text: str, limit: int) -> ToolResult:
    shown, cut = shortened(text, limit)
    return ToolResult.model_validate({"status": status, "text": shown, "cut": cut})
