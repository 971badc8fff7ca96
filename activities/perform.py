"""Performs an effect that identical calls share, for the call that claimed it."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.call import ActInput, ToolResult
from backstay.contracts.effect import PerformInput
from backstay.contracts.history import Handed, RunRef
from backstay.errors import HistoryError, HistoryGoneError
from backstay.ports import History
from backstay.telemetry import activities as spans

from .claim import effect_id
from .execute import denied, executed
from .heartbeat import beating
from .prepare import Desk, Prepared, own_key, this_run


class Perform:
    """The activity `perform`.

    INVARIANT: whoever starts an `Effect` by hand gets nothing done: the call stands in its run's own history, it is
    being executed there just now, and policy allows it once more.
    """

    def __init__(self, desk: Desk, history: History) -> None:
        self._desk = desk
        self._history = history

    @activity.defn(name=names.PERFORM)
    async def perform(self, given: PerformInput) -> ToolResult:
        """The effect's one result; a failed effect is a result too.

        Raises:
            ApplicationError: of type `ToolTimeout` or `HistoryError`, tried again where the tool's effect allows it.
        """
        run = RunRef(given.call.workflow_id, given.call.run_id)
        async with beating():
            try:
                if await self._history.was_reset(this_run()):
                    # What it was before went with the reset: whoever claims it asks the tool, then people.
                    return ToolResult(status="unknown", text="the outcome is unknown: the shared effect was reset")
                handed = await self._history.handed(run, given.call.call_id)
                if handed is None or (handed.over and activity.info().attempt == 1):
                    return _refused("no run is executing this call")
                with spans.working_for(await self._desk.opening(run), handed.given.step):
                    return await self._result(run, given, handed)
            except HistoryGoneError:
                return _refused("no run is executing this call")
            except HistoryError as error:
                raise ApplicationError(str(error), type=error.code) from error

    async def _result(self, run: RunRef, given: PerformInput, handed: Handed) -> ToolResult:
        call = handed.given.model_copy(update={"key": given.key})
        verdict, prepared = await self._desk.prepared(run, call)
        if not verdict.allowed or prepared is None:
            return denied(verdict)
        if problem := _misfit(given, handed.given, prepared):
            return _refused(problem)
        return await executed(prepared, self._desk.secrets)


def _misfit(given: PerformInput, call: ActInput, prepared: Prepared) -> str | None:
    """Why the call may not perform this effect, or not once more; None where it may."""
    info, spec = activity.info(), prepared.tool.spec
    if spec.dedupe is None or effect_id(call, prepared) != info.workflow_id:
        return "the effect is not that of the call"
    if given.again == 0:
        return None if given.key == own_key(call) else "the key is not that of the call"
    # A write was cut short, and is repeated under its key; anything else only on what the run itself has learned.
    if spec.effect != "write" and call.again != given.again:
        return "nobody knows that it did not happen before"
    return None


def _refused(problem: str) -> ToolResult:
    return ToolResult(status="denied", text=f"denied just before it was executed: {problem}")
