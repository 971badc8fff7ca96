"""Executes one tool call: checks it once more, runs it under its time limit, and says how it ended."""

import asyncio
from collections.abc import Mapping
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.admission import Opening
from backstay.contracts.calls import RESULT_BYTES, ActInput, ToolResult
from backstay.contracts.decision import ProposedCall
from backstay.contracts.history import RunRef
from backstay.errors import HistoryError, ToolError
from backstay.kernel.verdict import Code, Outcome, Verdict
from backstay.telemetry import spans
from backstay.tools import ToolCall

from .heartbeat import beating, cancelled_by_the_run
from .ports import Secrets, Tool
from .review import Asked, Reviewed, Reviewer
from .run_memory import RunMemory

ERROR_CHARACTERS = 2_000


class Act:
    """The activity `act`."""

    def __init__(self, memory: RunMemory, reviewer: Reviewer, secrets: Secrets) -> None:
        self._memory = memory
        self._reviewer = reviewer
        self._secrets = secrets

    @activity.defn(name=names.ACT)
    async def act(self, given: ActInput) -> ToolResult:
        """The call's one result; a failed call is a result too.

        Raises:
            ApplicationError: of type `ToolTimeout` or `HistoryError`, tried again where the tool's effect allows it.
        """
        info = activity.info()
        run = RunRef(info.workflow_id or "", info.workflow_run_id or "")
        async with beating():
            try:
                result = await self._result(run, given)
            except HistoryError as error:
                raise ApplicationError(str(error), type=error.code) from error
        self._memory.acted(run, given.call_id, result.text)
        return result

    async def _proposed(self, run: RunRef, given: ActInput) -> ProposedCall:
        if given.arguments is not None:
            return ProposedCall(call_id=given.call_id, tool=given.tool, arguments=given.arguments)
        return await self._memory.call(run, given)

    async def _result(self, run: RunRef, given: ActInput) -> ToolResult:
        opening = await self._memory.opening(run)
        with spans.execute_tool(opening, given) as ended:
            result = await self._checked(opening, await self._proposed(run, given), given)
            ended(result)
        return result

    async def _checked(self, opening: Opening, proposed: ProposedCall, given: ActInput) -> ToolResult:
        admitted = opening.admission.tool(given.tool)
        asked = Asked(
            opening.run_id,
            given.run_key,
            opening.agent,
            opening.tenant,
            given.step,
            admitted.digest if admitted else None,
            opening.goal,
            opening.requested_by,
            given.facts,
            given.now,
            given.consent,
        )
        reviewed = self._reviewer.review(asked, proposed)
        if reviewed.verdict.allowed and reviewed.verdict.digest != given.digest:
            reviewed = _other_call(reviewed)
        tool, values = reviewed.tool, reviewed.values
        if not reviewed.verdict.allowed or tool is None or values is None:
            text = f"denied just before it was executed: {reviewed.verdict.message or reviewed.verdict.code.value}"
            return ToolResult(status="denied", text=text, verdict=reviewed.verdict)
        costs: list[int] = []
        call = ToolCall(
            run_id=opening.run_id,
            step=given.step,
            call_id=given.call_id,
            idempotency_key=f"{given.run_key}/{given.call_id}",
            agent=opening.agent,
            tenant=opening.tenant,
            metadata=opening.metadata,
            read_secret=self._secrets.reader(tool.spec.name, tool.secrets),
            take_cost=costs.append,
        )
        result = await _executed(tool, values, call, self._secrets)
        return result.model_copy(update={"usd": costs[-1]}) if costs else result


async def _executed(tool: Tool, values: Mapping[str, Any], call: ToolCall, secrets: Secrets) -> ToolResult:
    # Freed of secrets first and cut then: a cut could leave a part of one that nobody finds.
    limit = asyncio.timeout(tool.spec.timeout)
    try:
        async with limit:
            return _cut("completed", secrets.scrubbed(await tool.run(call, values)), RESULT_BYTES)
    except ToolError as error:
        return _cut("failed", secrets.scrubbed(f"failed: {error}"), ERROR_CHARACTERS)
    except asyncio.CancelledError:
        if not cancelled_by_the_run():
            if tool.spec.effect == "once":
                return _cut("unknown", "the outcome is unknown: the worker stopped during the call", ERROR_CHARACTERS)
            raise
        status = "cancelled" if tool.spec.effect == "read" else "unknown"
        return _cut(status, f"{status}: the run was stopped during the call", ERROR_CHARACTERS)
    except BaseException as error:
        if limit.expired() and isinstance(error, TimeoutError):
            text = f"no end within {tool.spec.timeout:g} seconds"
            raise ApplicationError(text, type=names.TOOL_TIMEOUT) from None
        return _cut("failed", secrets.scrubbed(f"failed: {type(error).__name__}: {error}"), ERROR_CHARACTERS)


def _other_call(reviewed: Reviewed) -> Reviewed:
    verdict = reviewed.verdict
    message = "the call is not the one that was authorised"
    return Reviewed(Verdict(Outcome.DENY, Code.POLICY_ERROR, verdict.digest, verdict.policy_version, (), message))


def _cut(status: str, text: str, limit: int) -> ToolResult:
    """A result the model reads, at most `limit` bytes of it, with a note where it was longer."""
    clean = text.encode("utf-8", "replace")
    if len(clean) <= limit:
        return ToolResult.model_validate({"status": status, "text": clean.decode()})
    shown = clean[:limit].decode("utf-8", "ignore")
    note = f"\n[cut here: {len(clean)} bytes in all, the first {limit} are shown]"
    return ToolResult.model_validate({"status": status, "text": shown + note, "cut": True})
