"""Executes one tool call: checks it once more, then runs it, or claims the effect where identical calls share one."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.call import ActInput, ToolResult
from backstay.errors import EffectUnreachedError, HistoryError
from backstay.ports import Effects, History
from backstay.telemetry import activities as spans

from .claim import claimed
from .execute import denied, executed
from .heartbeat import Pulse, beating
from .prepare import Desk, own_key, this_run


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
        spec = prepared.tool.spec
        if spec.effect == "once" and (known := await self._known(given, shared=spec.dedupe is not None)):
            return known
        if spec.dedupe is not None:
            return await claimed(self._effects, given, prepared, pulse)
        return await executed(prepared, self._desk.secrets)

    async def _known(self, given: ActInput, shared: bool) -> ToolResult | None:
        """What became of this very call where the run was reset; None where nothing did, or its effect is shared.

        Raises:
            ApplicationError: of type `BegunBeforeReset`: it may have happened, or may still.
        """
        if not (await self._desk.opening(this_run())).reset:
            return None
        try:
            results = await self._results_before(given)
        except HistoryError as error:
            if shared or given.again:
                return None  # the effect itself knows, or somebody was asked already
            raise ApplicationError(f"whether it was executed before: {error}", type=names.BEGUN_BEFORE_RESET) from error
        seen = {result.status: result for result in results if result is not None}
        if "completed" in seen:
            return seen["completed"]
        if None in results and not shared:
            raise ApplicationError("nobody saw its end before the run was reset", type=names.BEGUN_BEFORE_RESET)
        return seen.get("unknown")

    async def _results_before(self, given: ActInput) -> list[ToolResult | None]:
        """How the call ended in other runs of the workflow; executions that are known not to have been do not count."""
        found: list[ToolResult | None] = []
        for relative in await self._history.relatives(this_run()):
            handed = await self._history.handed(relative, given.call_id)
            if handed and own_key(handed.given) == own_key(given) and handed.given.again >= given.again:
                found.append(handed.result)
        return found
