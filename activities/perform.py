"""Performs an effect that identical calls share, on behalf of the call that claimed it."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.call import ActInput, ToolResult
from backstay.contracts.effect import PerformInput
from backstay.contracts.history import Handed, RunRef
from backstay.errors import ForeignRunError, HistoryError, HistoryGoneError, NothingDoneError
from backstay.ports import History
from backstay.telemetry import activities as spans

from .claim import EffectIds
from .execute import denied, executed
from .heartbeat import beating
from .prepare import PreparedCall, Preparer, attempt_at, nothing_done, this_run


class Perform:
    """The activity `perform`.

    INVARIANT: an `Effect` that somebody starts by hand does nothing: the call must stand in its run's own history, be
    under way there right now, and be allowed by policy once more.
    """

    def __init__(self, preparer: Preparer, effect_ids: EffectIds, history: History) -> None:
        self._preparer = preparer
        self._effect_ids = effect_ids
        self._history = history

    @activity.defn(name=names.PERFORM)
    async def perform(self, given: PerformInput) -> ToolResult:
        """Returns the effect's one result; a failed effect has one too.

        Raises:
            ApplicationError: of type `ToolTimeout`, `ToolLost` or `HistoryError`, retried where the tool's effect
                allows it.
        """
        run = RunRef(given.call.workflow_id, given.call.run_id)
        async with beating():
            try:
                if await self._history.effect_was_reset(this_run()):
                    # The reset lost what the effect had done: its claimers ask the tool, then people.
                    return ToolResult(status="unknown", text="the outcome is unknown: the shared effect was reset")
                handed = await self._history.handed(run, given.call.call_id)
                if handed is None or (handed.over and not given.begun and activity.info().attempt == 1):
                    return _refused("no run is executing this call")
                with spans.working_for(await self._preparer.opening(run), handed.given.step):
                    return await self._result(run, given, handed)
            except ForeignRunError as error:
                raise ApplicationError(str(error), type=error.code, non_retryable=True) from None
            except NothingDoneError as error:
                raise nothing_done(error) from None
            except HistoryGoneError:
                return _refused("no run is executing this call")
            except HistoryError as error:
                raise ApplicationError(str(error), type=error.code) from error

    async def _result(self, run: RunRef, given: PerformInput, handed: Handed) -> ToolResult:
        call = handed.given.model_copy(update={"key": given.key, "begun": given.begun})
        verdict, prepared = await self._preparer.prepare(run, call)
        if not verdict.allowed or prepared is None:
            tool = (await self._preparer.opening(run)).admission.tool(call.tool)
            return denied(verdict, tool, attempt_at(call))
        if problem := self._misfit(given, handed.given, prepared):
            return _refused(problem)
        if prepared.tool.spec.effect == "once" and prepared.attempt > 1:
            return ToolResult(status="unknown", text="the outcome is unknown: another attempt had begun")
        if handed.given.again == 0 and (known := await self._history.cut_short(this_run())):
            return known
        return await executed(verdict, prepared, self._preparer.secrets)

    def _misfit(self, given: PerformInput, call: ActInput, prepared: PreparedCall) -> str | None:
        """Returns why the call may not perform this effect, or not again; None where it may."""
        info, spec = activity.info(), prepared.tool.spec
        if spec.dedupe is None or self._effect_ids.of(call, prepared) != info.workflow_id:
            return "the effect is not that of the call"
        if given.again == 0:
            return None if given.key == call.own_key else "the key is not that of the call"
        # A write that was cut short is repeated under its key; others only if their run learned that it did not happen.
        if spec.effect != "write" and call.again != given.again:
            return "nobody knows that it did not happen before"
        return None


def _refused(problem: str) -> ToolResult:
    return ToolResult(status="denied", text=f"denied just before it was executed: {problem}")
