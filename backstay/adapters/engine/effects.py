"""Effects that identical calls share: each is a workflow, whose id is the lock and whose state is the store."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from backstay.contracts import names
from backstay.contracts.call import ToolResult
from backstay.contracts.effect import CallRef, Claim, Claimed, EffectInput
from backstay.contracts.run import plain
from backstay.errors import EffectUnreachedError

POLL_SECONDS = 0.5
SOON_SECONDS = 0.05
GRACE_SECONDS = 2.0
ANSWER = timedelta(seconds=10)
_CLOSED_MEANWHILE = "AcceptedUpdateCompletedWorkflow"
_FULL = (RPCStatusCode.RESOURCE_EXHAUSTED, RPCStatusCode.ABORTED, RPCStatusCode.NOT_FOUND, RPCStatusCode.UNAVAILABLE)
"""Too many claims at a time, or one that met the effect as it closed: worth another try."""


class Effects:
    """Claims effects through a Temporal client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def claim(
        self, effect_id: str, start: EffectInput, claim: Claim, earlier: str | None, told: Callable[[str], None]
    ) -> "Claiming":
        """Claims an effect, which the first claim starts; `earlier` is what `told` got in an earlier attempt."""
        return Claiming(self._client, effect_id, start, claim, earlier, told)

    async def is_over(self, call: CallRef) -> bool:
        """Whether the run of a call has closed, or is known no more."""
        try:
            run = await self._client.get_workflow_handle(call.workflow_id, run_id=call.run_id).describe()
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND
        return run.status is not WorkflowExecutionStatus.RUNNING


class Claiming:
    """One claim, sent again under the next number for as long as it is told to claim again."""

    def __init__(
        self,
        client: Client,
        effect_id: str,
        start: EffectInput,
        claim: Claim,
        earlier: str | None,
        told: Callable[[str], None],
    ) -> None:
        self._client = client
        self._effect_id = effect_id
        self._start = start
        self._claim = claim
        self._earlier = earlier
        self._told = told
        self._number = 0
        self._left = asyncio.Event()
        self._accepted = asyncio.Event()
        self._answer: asyncio.Task[ToolResult] | None = None

    async def result(self) -> ToolResult:
        """The effect's one result; a cancellation leaves the claim as it is.

        Raises:
            EffectUnreachedError: it could not be asked; the effect may be performed all the same.
        """
        return await asyncio.shield(self._waiting())

    async def withdraw(self) -> ToolResult:
        """Asks no more, also where the claim is still on its way; says what became of the effect."""
        waiting = self._waiting()
        self._left.set()
        with contextlib.suppress(asyncio.TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await self._tell(waiting)
                accepted = asyncio.create_task(self._accepted.wait())
                await asyncio.wait((waiting, accepted), return_when=asyncio.FIRST_COMPLETED)
                accepted.cancel()
        if waiting.done() or self._accepted.is_set():
            return await asyncio.shield(waiting)
        return ToolResult(status="unknown", text="unknown: the run was stopped, and the effect does not answer")

    def drop(self) -> None:
        """Waits no more, and tells nobody: another attempt of the call goes on."""
        if self._answer is not None:
            self._answer.cancel()

    def _waiting(self) -> asyncio.Task[ToolResult]:
        if self._answer is None:
            self._answer = asyncio.create_task(self._answered())
            self._answer.add_done_callback(_heard)
        return self._answer

    async def _answered(self) -> ToolResult:
        try:
            if self._earlier is not None and (result := await self._recorded()):
                return result
            while True:
                answer = await self._asked()
                if answer.result is not None:
                    return answer.result
                await self._pause(answer.wait)
        except WorkflowUpdateFailedError as error:
            return _no_answer(error)
        except (RPCError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            raise EffectUnreachedError(f"the effect could not be asked: {type(error).__name__}") from error

    async def _tell(self, waiting: asyncio.Task[ToolResult]) -> None:
        """Tells the effect of the withdrawal; where there is none yet, the claim may still start it."""
        while not waiting.done():
            with contextlib.suppress(RPCError):
                await self._effect().signal(names.WITHDRAW, plain(self._claim.call))
                return
            await asyncio.sleep(SOON_SECONDS)

    async def _asked(self) -> Claimed:
        """One claim and its answer."""
        while True:
            try:
                handle = await self._sent()
            except RPCError as error:
                if error.status not in _FULL:
                    raise
                await self._pause(True)
                continue
            self._number += 1
            self._told(handle.workflow_run_id or "")
            self._accepted.set()
            answer = await handle.result()
            self._accepted.clear()
            return answer

    async def _sent(self) -> WorkflowUpdateHandle[Claimed]:
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            names.EFFECT,
            plain(self._start),
            id=self._effect_id,
            task_queue=self._start.call.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            static_summary=f"{self._start.tool} · tenant {self._start.tenant}",
        )
        try:
            return await self._client.start_update_with_start_workflow(  # pyright: ignore[reportUnknownMemberType]
                names.CLAIM,
                plain(self._claim),
                start_workflow_operation=start,
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                id=self._update_id,
                result_type=Claimed,
            )
        except BaseException:
            # The start keeps the error too, and would have it logged as one that nobody looked at.
            asyncio.ensure_future(start.workflow_handle()).add_done_callback(_heard)
            raise

    async def _recorded(self) -> ToolResult | None:
        """What an earlier attempt's claims were answered, or will be; the effect may have closed since."""
        while True:
            effect = self._effect(self._earlier or None)
            handle = effect.get_update_handle(self._update_id, result_type=Claimed)
            self._accepted.set()
            try:
                answer = await handle.result()
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return None
                raise
            finally:
                self._accepted.clear()
            self._number += 1
            if answer.result is not None:
                return answer.result

    async def _pause(self, wait: bool) -> None:
        """A moment; or, to `wait`, until nobody performs the effect. A claim that is withdrawn does not wait."""
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._left.wait(), POLL_SECONDS if wait else SOON_SECONDS)
            if self._left.is_set():
                await asyncio.sleep(SOON_SECONDS)
                return
            if not wait or not await self._performing():
                return

    async def _performing(self) -> bool:
        """Whether the effect is being performed, as the engine knows without asking a worker."""
        try:
            effect: WorkflowExecutionDescription = await self._effect().describe(rpc_timeout=ANSWER)
        except RPCError:
            return False
        return bool(effect.raw_description.pending_activities)

    def _effect(self, run_id: str | None = None) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(self._effect_id, run_id=run_id)

    @property
    def _update_id(self) -> str:
        call = self._claim.call
        return f"{call.run_id}/{call.call_id}/{self._claim.again}/{self._number}"


def _heard(answer: asyncio.Future[Any]) -> None:
    """Looks at what was raised where nobody else does."""
    if not answer.cancelled():
        answer.exception()


def _no_answer(error: WorkflowUpdateFailedError) -> ToolResult:
    """A claim that was refused did nothing; one that was accepted, of an effect that then broke off, may have."""
    cause = error.cause
    kind = cause.type if isinstance(cause, ApplicationError) and cause.type else type(cause).__name__
    if kind == _CLOSED_MEANWHILE:
        return ToolResult(status="unknown", text="the outcome is unknown: the effect was broken off")
    return ToolResult(status="failed", text=f"failed: the effect could not be claimed ({kind})")
