"""Executes one tool call: checks it once more, runs it under its time limit, and says how it ended."""

import asyncio

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.calls import RESULT_BYTES, ActInput, ToolResult
from backstay.errors import HistoryError, OutcomeUnknownError, ToolError
from backstay.telemetry import spans

from .desk import Desk, Prepared, this_run
from .heartbeat import beating, cancelled_by_the_run

ERROR_CHARACTERS = 2_000


class Act:
    """The activity `act`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @activity.defn(name=names.ACT)
    async def act(self, given: ActInput) -> ToolResult:
        """The call's one result; a failed call is a result too.

        Raises:
            ApplicationError: of type `ToolTimeout` or `HistoryError`, tried again where the tool's effect allows it.
        """
        run = this_run()
        async with beating():
            try:
                with spans.execute_tool(await self._desk.opening(run), given) as ended:
                    result = await self._result(given)
                    ended(result)
            except HistoryError as error:
                raise ApplicationError(str(error), type=error.code) from error
        self._desk.memory.acted(run, given.call_id, result.text)
        return result

    async def _result(self, given: ActInput) -> ToolResult:
        verdict, prepared = await self._desk.prepared(this_run(), given)
        if not verdict.allowed or prepared is None:
            text = f"denied just before it was executed: {verdict.message or verdict.code.value}"
            return ToolResult(status="denied", text=text, verdict=verdict)
        status, text, limit = await _executed(prepared)
        # Freed of secrets first and cut then: a cut could leave a part of one that nobody finds.
        result = _cut(status, self._desk.secrets.scrubbed(text), limit)
        return result.model_copy(update={"usd": prepared.costs[-1]}) if prepared.costs else result


async def _executed(prepared: Prepared) -> tuple[str, str, int]:
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
    except asyncio.CancelledError:
        if not cancelled_by_the_run():
            if spec.effect == "once":
                return "unknown", "the outcome is unknown: the worker stopped during the call", ERROR_CHARACTERS
            raise
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
    except Exception:
        return "(the error cannot be written as text)"


def _cut(status: str, text: str, limit: int) -> ToolResult:
    """A result the model reads, at most `limit` bytes of it, with a note where it was longer."""
    clean = text.encode("utf-8", "replace")
    if len(clean) <= limit:
        return ToolResult.model_validate({"status": status, "text": clean.decode()})
    shown = clean[:limit].decode("utf-8", "ignore")
    note = f"\n[cut here: {len(clean)} bytes in all, the first {limit} are shown]"
    return ToolResult.model_validate({"status": status, "text": shown + note, "cut": True})
