"""Executes one tool call: reviews it once more, then runs it, or claims the effect that identical calls share."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.call import ActInput, ToolResult
from backstay.errors import EffectUnreachedError, HeldError, HistoryError, NothingDoneError
from backstay.ports import Attempts, Effects, History
from backstay.telemetry import activities as spans

from .claim import EffectIds, claimed
from .execute import denied, executed, withdrawn
from .heartbeat import Pulse, beating
from .prepare import Preparer, attempt_at, nothing_done, this_run


class Act:
    """The activity `act`."""

    def __init__(
        self, preparer: Preparer, effects: Effects, effect_ids: EffectIds, history: History, attempts: Attempts
    ) -> None:
        self._preparer = preparer
        self._attempts = attempts
        self._effects = effects
        self._effect_ids = effect_ids
        self._history = history

    @activity.defn(name=names.ACT)
    async def act(self, given: ActInput) -> ToolResult:
        """Returns the call's one result; a failed call has one too.

        Raises:
            ApplicationError: of type `ToolTimeout`, `ToolLost`, `HistoryError` or `EffectUnreached`, retried where the
                tool's effect allows it; of type `McpUnreachable` where it was certainly not sent; of type
                `BegunBeforeReset` where the call may have happened, or may still happen; of type `Unserved` or
                `UnservedTool` where another worker may execute it.
        """
        run = this_run()
        async with beating() as pulse:
            try:
                with spans.execute_tool(await self._preparer.opening(run), given) as ended:
                    result = await self._result(given, pulse)
                    ended(result)
            except NothingDoneError as error:
                raise nothing_done(error) from None
            except (HistoryError, EffectUnreachedError) as error:
                raise ApplicationError(str(error), type=error.code) from error
        self._preparer.conversations.acted(run, given.call_id, result.text)
        return result

    async def _result(self, given: ActInput, pulse: Pulse) -> ToolResult:
        verdict, prepared = await self._preparer.prepare(this_run(), given)
        if not verdict.allowed or prepared is None:
            tool = (await self._preparer.opening(this_run())).admission.tool(given.tool)
            return denied(verdict, tool, attempt_at(given))
        spec = prepared.tool.spec
        if spec.effect == "once" and (known := await self._known(given, shared=spec.dedupe is not None)):
            return known
        if spec.effect != "read" and not await self._wanted():
            return withdrawn(attempt_at(given))
        if spec.dedupe is not None:
            return await claimed(self._effects, self._effect_ids.of(given, prepared), given, prepared, pulse)
        return await executed(verdict, prepared, self._preparer.secrets)

    async def _wanted(self) -> bool:
        """Tells whether the run still wants the call: the engine brings a kill only with the answer to a heartbeat.

        Raises:
            HeldError: the engine does not say; nothing is done until it does.
        """
        try:
            return await self._attempts.wanted(this_run(), activity.info().activity_id)
        except HistoryError as error:
            raise HeldError(f"whether the run still wants the call: {error}") from error

    async def _known(self, given: ActInput, shared: bool) -> ToolResult | None:
        """Returns the call's result from before a reset of the run; None where the call may be executed now.

        Raises:
            ApplicationError: of type `BegunBeforeReset`: the call may have happened, or may still happen.
        """
        if not (await self._preparer.opening(this_run())).reset:
            return None
        try:
            results = await self._results_before(given)
        except HistoryError as error:
            if shared or given.again:
                return None  # the shared effect knows, or a person was asked already
            raise ApplicationError(f"whether it was executed before: {error}", type=names.BEGUN_BEFORE_RESET) from error
        seen = {result.status: result for result in results if result is not None}
        if "completed" in seen:
            return seen["completed"]
        if None in results and not shared:
            raise ApplicationError("nobody saw its end before the run was reset", type=names.BEGUN_BEFORE_RESET)
        return seen.get("unknown")

    async def _results_before(self, given: ActInput) -> list[ToolResult | None]:
        """Returns the call's results in other runs of the workflow, None for one without a known end.

        Executions that are known not to have happened do not count.
        """
        found: list[ToolResult | None] = []
        for relative in await self._history.relatives(this_run()):
            handed = await self._history.handed(relative, given.call_id)
            if handed and handed.given.own_key == given.own_key and handed.given.again >= given.again:
                found.append(handed.result)
        return found
