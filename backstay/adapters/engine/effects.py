"""Claims effects that identical calls share; each is a workflow, with its id as the lock and its state as the store."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
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
from backstay.kernel.markdown import inert

from .executions import described

POLL_SECONDS = 0.5
SOON_SECONDS = 0.05
GRACE_SECONDS = 2.0
ANSWER = timedelta(seconds=10)
_OCCUPIED = ToolResult(status="failed", text="nothing was done: another workflow has the id of the shared effect")
_CLOSED_MEANWHILE = "AcceptedUpdateCompletedWorkflow"
_TRY_AGAIN = (
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.ABORTED,
    RPCStatusCode.NOT_FOUND,
    RPCStatusCode.UNAVAILABLE,
)
"""The effect has too many claims at once, or was just closing."""


class Effects:
    """A source of claims on shared effects, through a Temporal client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def claim(
        self, effect_id: str, start: EffectInput, claim: Claim, earlier: str | None, told: Callable[[str], None]
    ) -> "Claiming":
        """Prepares a claim on an effect.

        Args:
            effect_id: the workflow id of the effect.
            start: starts the effect where none of that id is open.
            claim: the call that asks for the effect.
            earlier: the value that `told` got in an earlier attempt; empty if it got none, None in a first attempt.
            told: gets the effect's Temporal run id as soon as the claim is accepted.
        """
        return Claiming(_EffectWorkflow(self._client, effect_id, start), claim, earlier, told)

    async def is_over(self, call: CallRef) -> bool:
        """Tells whether the run of a call has closed or is unknown to Temporal."""
        try:
            run = await described(self._client, call.workflow_id, call.run_id)
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND
        return not run.open


class _EffectWorkflow:
    """The workflow of one effect."""

    def __init__(self, client: Client, effect_id: str, start: EffectInput) -> None:
        self._client = client
        self._id = effect_id
        self._start = start

    async def claim(self, claim: Claim, update_id: str) -> WorkflowUpdateHandle[Claimed]:
        """Sends a claim, which starts the effect where none is open, and waits until it is accepted."""
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            names.EFFECT,
            plain(self._start),
            id=self._id,
            task_queue=self._start.call.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            static_summary=inert(f"{self._start.tool} · tenant {self._start.tenant}"),
        )
        try:
            return await self._client.start_update_with_start_workflow(  # pyright: ignore[reportUnknownMemberType]
                names.CLAIM,
                plain(claim),
                start_workflow_operation=start,
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                id=update_id,
                result_type=Claimed,
            )
        except BaseException:
            # The start operation holds the same error in a future; asyncio would log it as never retrieved.
            asyncio.ensure_future(start.workflow_handle()).add_done_callback(_retrieve_error)
            raise

    def claimed(self, update_id: str, run_id: str | None) -> WorkflowUpdateHandle[Claimed]:
        """Returns a handle of a claim sent earlier."""
        return self._handle(run_id).get_update_handle(update_id, result_type=Claimed)

    async def withdraw(self, call: CallRef) -> None:
        """Signals that a call no longer asks for the effect."""
        await self._handle().signal(names.WITHDRAW, plain(call))

    async def is_ours(self, run_id: str | None) -> bool:
        """Tells whether a workflow under the effect's id is one that our workers run, whatever it answers."""
        found = await self._handle(run_id).describe(rpc_timeout=ANSWER)
        return (found.workflow_type, found.task_queue) == (names.EFFECT, self._start.call.task_queue)

    async def is_performing(self) -> bool:
        """Tells whether the effect is being performed, without asking a worker."""
        try:
            effect = await described(self._client, self._id, timeout=ANSWER)
        except RPCError:
            return False
        return bool(effect.pending)

    def _handle(self, run_id: str | None = None) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(self._id, run_id=run_id)


class Claiming:
    """One call's claim on an effect, sent again under the next number while the effect answers "claim again"."""

    def __init__(self, effect: _EffectWorkflow, claim: Claim, earlier: str | None, told: Callable[[str], None]) -> None:
        self._effect = effect
        self._claim = claim
        self._earlier = earlier
        self._told = told
        self._number = 0
        self._withdrawn = asyncio.Event()
        self._accepted = asyncio.Event()
        self._task: asyncio.Task[ToolResult] | None = None

    async def result(self) -> ToolResult:
        """Waits for the effect's one result; cancelling the wait keeps the claim.

        Raises:
            EffectUnreachedError: the effect could not be asked; it may be performed all the same.
        """
        return await asyncio.shield(self._started())

    async def withdraw(self) -> ToolResult:
        """Withdraws the claim and returns the outcome for this call.

        Returns:
            The effect's answer; `unknown` where the effect does not accept the claim within two seconds.

        Raises:
            EffectUnreachedError: the effect could not be asked.
        """
        task = self._started()
        self._withdrawn.set()
        with contextlib.suppress(asyncio.TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await self._signal_withdrawal(task)
                accepted = asyncio.create_task(self._accepted.wait())
                await asyncio.wait((task, accepted), return_when=asyncio.FIRST_COMPLETED)
                accepted.cancel()
        if task.done() or self._accepted.is_set():
            return await asyncio.shield(task)
        return ToolResult(status="unknown", text="unknown: the run was stopped, and the effect does not answer")

    def drop(self) -> None:
        """Stops waiting without telling the effect, because another attempt of the call continues."""
        if self._task is not None:
            self._task.cancel()

    def _started(self) -> asyncio.Task[ToolResult]:
        if self._task is None:
            self._task = asyncio.create_task(self._claim_until_result())
            self._task.add_done_callback(_retrieve_error)
        return self._task

    async def _claim_until_result(self) -> ToolResult:
        try:
            if self._earlier is not None and (result := await self._earlier_result()):
                return result
            while True:
                answer = await self._claim_once()
                if answer.result is not None:
                    return answer.result
                await self._pause(answer.wait)
        except WorkflowUpdateFailedError as error:
            return _result_of_failure(error)
        except (RPCError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            raise EffectUnreachedError(f"the effect could not be asked: {type(error).__name__}") from error

    async def _signal_withdrawal(self, task: asyncio.Task[ToolResult]) -> None:
        """Sends the withdrawal, again and again until it arrives: a claim on its way may still start the effect."""
        while not task.done():
            with contextlib.suppress(RPCError):
                await self._effect.withdraw(self._claim.call)
                return
            await asyncio.sleep(SOON_SECONDS)

    async def _claim_once(self) -> Claimed:
        """Sends one claim, again where the effect is full or closing, and waits for its answer."""
        while True:
            try:
                handle = await self._effect.claim(self._claim, self._update_id)
            except RPCError as error:
                if error.status not in _TRY_AGAIN:
                    raise
                await self._pause(True)
                continue
            if not await self._effect.is_ours(handle.workflow_run_id):
                return Claimed(result=_OCCUPIED)
            self._number += 1
            self._told(handle.workflow_run_id or "")
            self._accepted.set()
            answer = await handle.result()
            self._accepted.clear()
            return answer

    async def _earlier_result(self) -> ToolResult | None:
        """Waits for the answers to claims of an earlier attempt, also where the effect has closed since.

        Returns:
            The first result among them; None where the earlier attempt sent no further claim.
        """
        while True:
            handle = self._effect.claimed(self._update_id, self._earlier or None)
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
        """Sleeps briefly; with `wait`, until nobody performs the effect. A withdrawal ends the pause."""
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._withdrawn.wait(), POLL_SECONDS if wait else SOON_SECONDS)
            if self._withdrawn.is_set():
                await asyncio.sleep(SOON_SECONDS)
                return
            if not wait or not await self._effect.is_performing():
                return

    @property
    def _update_id(self) -> str:
        call = self._claim.call
        return f"{call.run_id}/{call.call_id}/{self._claim.again}/{self._number}"


def _retrieve_error(done: asyncio.Future[Any]) -> None:
    """Retrieves a future's error, so that asyncio does not log it as never retrieved."""
    if not done.cancelled():
        done.exception()


def _result_of_failure(error: WorkflowUpdateFailedError) -> ToolResult:
    """Maps a failed update to a result: a refused claim did nothing, an accepted one may have."""
    cause = error.cause
    kind = cause.type if isinstance(cause, ApplicationError) and cause.type else type(cause).__name__
    if kind == _CLOSED_MEANWHILE:
        return ToolResult(status="unknown", text="the outcome is unknown: the effect was broken off")
    return ToolResult(status="failed", text=f"failed: the effect could not be claimed ({kind})")
