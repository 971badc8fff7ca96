"""Executes one tool call: checks it once more, then runs it, or claims the effect where identical calls share one."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.calls import ActInput, ToolResult
from backstay.errors import EffectUnreachedError, HistoryError
from backstay.telemetry import spans

from .claim import claimed
from .desk import Desk, own_key, this_run
from .execution import denied, executed
from .heartbeat import Pulse, beating
from .ports import Effects, History


class Act:
    """The activity `act`."""

    def __init__(self, desk: Desk, effects: Effects, history: History) -> None:
        self._desk = desk
        self._effects = effects
        self._history = history

    @activity.defn(name=names.ACT)
    async def act(self, given: ActInput) -> ToolResult:
        """The call's one result; a failed call is a result too.

        Raises:
            ApplicationError: of type `ToolTimeout`, `HistoryError` or `EffectUnreached`, tried again where the tool's
                effect allows it; of type `BegunBeforeReset` where the call may have happened, or may still.
        """
        run = this_run()
        async with beating() as pulse:
            try:
                with spans.execute_tool(await self._desk.opening(run), given) as ended:
                    result = await self._result(given, pulse)
                    ended(result)
            except (HistoryError, EffectUnreachedError) as error:
                raise ApplicationError(str(error), type=error.code) from error
        self._desk.memory.acted(run, given.call_id, result.text)
        return result

    async def _result(self, given: ActInput, pulse: Pulse) -> ToolResult:
        verdict, prepared = await self._desk.prepared(this_run(), given)
        if not verdict.allowed or prepared is None:
            return denied(verdict)
        if prepared.tool.spec.dedupe is not None:
            return await claimed(self._effects, given, prepared, pulse)
        known = await self._known(given) if prepared.tool.spec.effect == "once" and not given.again else None
        return known or await executed(prepared, self._desk.secrets)

    async def _known(self, given: ActInput) -> ToolResult | None:
        """What became of this very call before the run was reset; None where nothing did."""
        run = this_run()
        if not (await self._desk.opening(run)).reset:
            return None
        for origin in await self._history.origins(run):
            handed = await self._history.handed(origin, given.call_id)
            if handed is None or own_key(handed.given) != own_key(given):
                continue
            if handed.result is None:
                raise ApplicationError("nobody saw its end before the run was reset", type=names.BEGUN_BEFORE_RESET)
            return handed.result if handed.result.status in ("completed", "unknown") else None
        return None
