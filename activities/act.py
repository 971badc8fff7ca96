"""Executes one tool call: checks it once more, then runs it, or claims the effect where identical calls share one."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.calls import ActInput, ToolResult
from backstay.errors import EffectUnreachedError, HistoryError
from backstay.telemetry import spans

from .claim import claimed
from .desk import Desk, this_run
from .execution import denied, executed
from .heartbeat import Pulse, beating
from .ports import Effects


class Act:
    """The activity `act`."""

    def __init__(self, desk: Desk, effects: Effects) -> None:
        self._desk = desk
        self._effects = effects

    @activity.defn(name=names.ACT)
    async def act(self, given: ActInput) -> ToolResult:
        """The call's one result; a failed call is a result too.

        Raises:
            ApplicationError: of type `ToolTimeout`, `HistoryError` or `EffectUnreached`, tried again where the tool's
                effect allows it.
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
        return await executed(prepared, self._desk.secrets)
