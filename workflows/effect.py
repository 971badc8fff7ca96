"""Runs one deduplicated effect as a workflow: its id, a digest of tool and arguments, is the lock."""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.call import ToolResult
from backstay.contracts.effect import CallRef, Claim, Claimed, EffectInput, PerformInput
from backstay.contracts.messages import read_message
from backstay.contracts.problems import Problem
from backstay.contracts.run import plain
from backstay.kernel.history import nearly_full
from backstay.kernel.keys import perform_id
from backstay.kernel.markdown import inert

from . import options
from .effect_lock import EffectLock, LockState
from .messages import fitting, invalid_input, repetitions
from .outcome import HELD_AFTER_ATTEMPTS, attempts_begun, may_go_on, nothing_done, unfinished
from .run.running import unreadable
from .run.served import GROWTH, LONGEST_PAUSE

CLAIMS_PER_LINK = 1_000
"""After how many claims the effect continues as new; Temporal accepts about 2,000 updates in one link of a chain."""

LEAVES_IN_TIME = "an effect continues as new before its history is full"
KEEPS_ITS_KEY = "an effect that failed and may have happened is repeated under its key"

UNCLAIMED = timedelta(seconds=10)
SERVED = timedelta(seconds=10)
"""The time in which the effect looks for a worker that serves its call."""
SERVED_PAUSE = timedelta(seconds=1)
_CLAIM = "Asks for the effect, and returns its one result. Sent by the runtime."
_WITHDRAW = "Withdraws a call, because its run is stopped. Sent by the runtime."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@workflow.defn(name=names.EFFECT)
class Effect:
    """A workflow that performs an effect once, gives every claim the result, and closes after its window."""

    @workflow.init
    def __init__(self, *args: Any) -> None:
        # Cron and retries have a run before them too; what was held is believed from continue-as-new alone.
        given = repetitions() or EffectInput.read(args, continued=workflow.info().continued_run_id is not None)
        self._problems: list[Problem] = given if isinstance(given, list) else []
        self._given = None if isinstance(given, list) else given
        self._lock = None if isinstance(given, list) else EffectLock(given)
        self._until = workflow.now()
        self._handle: workflow.ActivityHandle[Any] | None = None
        self._cut_short = False

    @workflow.run
    async def run(self, *args: Any) -> dict[str, Any]:
        """Performs the effect and holds it for its window.

        Returns:
            The lock's state and the numbers of performances and claims; never the effect's own result.
        """
        if self._given is None or self._lock is None:
            raise invalid_input(self._problems)
        try:
            await self._hold(self._given, self._lock)
        except (FailureError, workflow.ContinueAsNewError):
            raise
        except Exception as bug:
            # An unexpected error would fail the workflow task, which Temporal retries for ever; so the effect fails.
            text = f"{type(bug).__name__} in the effect itself"
            raise ApplicationError(text, type="InternalError", non_retryable=True) from bug
        return {"state": self._lock.state.value, "performances": self._lock.performances, "claims": self._lock.claims}

    async def _hold(self, given: EffectInput, lock: EffectLock) -> None:
        if given.held is not None:
            self._until = _EPOCH + timedelta(milliseconds=given.held.until_ms)
        else:
            await self._first_claim(lock)
        while True:
            if lock.state is LockState.PERFORMING:
                await self._perform(given, lock)
            if lock.state is LockState.RELEASED or not await self._claimed_again(lock):
                break
            if self._link_is_full(lock):
                await self._continue_as_new(given, lock)
        lock.close()
        await workflow.wait_condition(workflow.all_handlers_finished)

    async def _first_claim(self, lock: EffectLock) -> None:
        """Waits for the first claim, which comes with the start.

        Raises:
            ApplicationError: no claim came within ten seconds.
        """
        try:
            await workflow.wait_condition(lambda: lock.claims > 0, timeout=UNCLAIMED)
        except TimeoutError:
            text = "nobody claimed the effect: only a call of a run starts one"
            raise ApplicationError(text, type="EffectUnclaimed", non_retryable=True) from None

    async def _perform(self, given: EffectInput, lock: EffectLock) -> None:
        """Lets the performer perform, unless every call has withdrawn, and records the result."""
        before = lock.performances
        self._cut_short = False
        result = await self._result(given, lock)
        # One that may have happened keeps its key: under another one it could happen a second time.
        unclear = result.status == "failed" and result.unclear and given.effect == "write"
        lock.ended(result, self._cut_short, unclear and workflow.patched(KEEPS_ITS_KEY))
        if lock.performances > before:
            self._until = workflow.now() + timedelta(seconds=given.window)

    async def _result(self, given: EffectInput, lock: EffectLock) -> ToolResult:
        if not lock.waiting:
            return ToolResult(status="cancelled", text="cancelled: the run was stopped before the effect began")
        call = lock.performer.call
        how: ActivityConfig = {
            "activity_id": perform_id(lock.performances + 1),
            "task_queue": names.effects_queue(call.task_queue),
            "priority": options.shared_fairly(given.tenant),
            "summary": inert(f"{given.tool} · for call {call.call_id} of {call.workflow_id}"[:180]),
        }
        perform = PerformInput(call=call, key=given.key, again=lock.performances)
        try:
            return await self._performed(given, perform, how, lock)
        except ActivityError as error:
            if failure := nothing_done(error):
                return ToolResult(status="cancelled", text=f"not executed: {failure.message}", usd=0)
            await self._wait_out(lock, may_go_on(error, given.timeout))
            status, text = unfinished(given.effect, error)
            return ToolResult(status=status, text=text, unclear=status == "failed")

    async def _performed(
        self, given: EffectInput, perform: PerformInput, how: ActivityConfig, lock: EffectLock
    ) -> ToolResult:
        """Lets a worker perform; another one where the first does not serve the call, later where a stop holds it."""
        until, pause = workflow.now() + SERVED, SERVED_PAUSE
        while True:
            limited: ActivityConfig = {**options.perform_options(given.effect, given.timeout, perform.begun), **how}
            self._handle = workflow.start_activity(names.PERFORM, perform, result_type=ToolResult, **limited)
            try:
                answer: object = await self._handle
                if isinstance(answer, ToolResult):
                    return answer
                raise unreadable(names.PERFORM, names.PERFORM)
            except ActivityError as error:
                failure = nothing_done(error)
                perform = perform.model_copy(update={"begun": perform.begun + attempts_begun(error)})
                waits = failure is not None and (failure.type == names.HELD or workflow.now() < until)
                if not waits or lock.abandoned:
                    if failure is not None and perform.begun:
                        return ToolResult(status="unknown", text=HELD_AFTER_ATTEMPTS)
                    raise
                if failure is not None and failure.type == names.HELD:
                    # A stop may last for days, and the history has room for some thousand looks.
                    pause = min(GROWTH * pause, LONGEST_PAUSE[names.HELD])
            finally:
                self._handle = None
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(lambda: lock.abandoned, timeout=pause)

    async def _wait_out(self, lock: EffectLock, time: timedelta) -> None:
        """Waits out a performance that may continue on a lost worker, or until every call has withdrawn."""
        if not time:
            return
        # The activity is over for Temporal, so a withdrawal during this wait has nothing to cancel.
        self._handle = None
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(lambda: lock.abandoned, timeout=time)

    async def _claimed_again(self, lock: EffectLock) -> bool:
        """Waits until a claim performs again or the link is full; returns False when the window is over."""
        left = self._until - workflow.now()
        try:
            await workflow.wait_condition(
                lambda: lock.state is LockState.PERFORMING or self._link_is_full(lock),
                timeout=max(left, timedelta(0)),
                timeout_summary="the window in which the effect is not repeated",
            )
        except TimeoutError:
            return False
        return True

    def _link_is_full(self, lock: EffectLock) -> bool:
        info = workflow.info()
        full = nearly_full(info.get_current_history_size(), info.get_current_history_length())
        return lock.claims >= CLAIMS_PER_LINK or (full and workflow.patched(LEAVES_IN_TIME))

    async def _continue_as_new(self, given: EffectInput, lock: EffectLock) -> None:
        """Continues in a new link, with room for more claims, once every open claim is answered."""
        await workflow.wait_condition(lambda: lock.state is LockState.PERFORMING or workflow.all_handlers_finished())
        # During the wait a claim may have started a performance, which must end in this link.
        if lock.state is LockState.PERFORMING:
            return
        held = lock.held(int((self._until - _EPOCH) / timedelta(milliseconds=1)))
        workflow.continue_as_new(plain(given.model_copy(update={"held": held})))

    @workflow.update(name=names.CLAIM, description=_CLAIM)
    async def claim(self, *args: Any) -> dict[str, Any]:
        """Waits for the effect's one result and returns it; a repeated claim gets the same answer."""
        claim, lock = self._read(args), self._lock
        if lock is None:
            raise invalid_input(self._problems)
        if not lock.enter(claim):
            return plain(Claimed(wait=True))
        # During the wait the effect may have ended, been released or moved on to another performer.
        await workflow.wait_condition(lambda: lock.settled(claim))
        return plain(lock.answer(claim))

    @claim.validator
    def _claim_fits(self, *args: Any) -> None:
        self._read(args)

    @workflow.signal(name=names.WITHDRAW, description=_WITHDRAW)
    def withdraw(self, *args: Any) -> None:
        """Withdraws a call, and cancels the performance where no other call waits for it."""
        call = read_message(CallRef, args)
        if isinstance(call, list) or self._lock is None:
            return
        self._lock.leave(call)
        if self._handle is not None and self._lock.abandoned:
            self._cut_short = True
            self._handle.cancel()

    def _read(self, args: tuple[Any, ...]) -> Claim:
        """Reads a claim, before it enters the history.

        Raises:
            ApplicationError: the message or the effect's own input is invalid.
        """
        if self._given is None:
            raise invalid_input(self._problems)
        return fitting(Claim, args)

    def page(self) -> str:
        """Returns the effect's page for the Temporal UI, in Markdown: tool, tenant, state, call, no arguments."""
        given, lock = self._given, self._lock
        if given is None or lock is None:
            return ""
        call = lock.performer.call
        lines = [
            f"**{inert(given.tool)}** · tenant {inert(given.tenant)}",
            "",
            f"**State:** {lock.state.value} · performed {lock.performances}× · {lock.claims} claims",
            "",
            f"By call {inert(call.call_id)} of the run {inert(call.workflow_id)}",
            "",
            f"Identical calls get its result until {self._until:%Y-%m-%d %H:%M:%S} UTC."
            if lock.state is LockState.HELD
            else "",
        ]
        return "\n".join(lines)
