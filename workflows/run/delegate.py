"""Has other agents do a part of the work: child runs, under this run's budget and this run's orders.

A run that may not delegate does nothing of this: no command, no event.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError, WorkflowAlreadyStartedError
from temporalio.workflow import ActivityConfig, ParentClosePolicy

from backstay.contracts import names
from backstay.contracts.admission import DelegateSpec, ToolSpec
from backstay.contracts.call import RESULT_BYTES, shortened
from backstay.contracts.delegate import (
    Above,
    ChildEnd,
    ChildRef,
    ChildRequest,
    ChildStanding,
    DelegateArguments,
    ParentRun,
    asked_by_person,
    ending_of,
    parent_of,
)
from backstay.contracts.run import RunResult, plain
from backstay.kernel.budget import Amount, Limits, Shortfall
from backstay.kernel.carving import carve, close_child
from backstay.kernel.child_events import ChildBegun, ChildWaits
from backstay.kernel.draw import Paid, within_drawn
from backstay.kernel.keys import child_id, delegate_id, short_digest
from backstay.kernel.markdown import inert
from backstay.kernel.run_state import RunState
from backstay.kernel.verdict import Outcome

from .. import options
from .act import STOPPED, Ended
from .authorize import Judged
from .child_hold import ChildHold, seconds_left
from .children import labels_of
from .hold import HoldParts
from .live import LiveRun
from .orders_below import Below, OrdersBelow
from .released import Released
from .words import summary

UNCLEAR = "the run that was asked has left no result: what it did is unknown, and all of its budget counts as spent"


class Children:
    """The child runs of a run."""

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self._spec = run.admission.delegate
        self._room = asyncio.Semaphore(self._spec.at_once if self._spec else 1)
        self._shares: dict[str, Limits | Shortfall] = {}
        self._orders = OrdersBelow(run)
        if self._spec is not None:
            run.record.heed(self._orders.heed)

    def asks(self, tool: ToolSpec | None) -> bool:
        """Tells whether the calls of a tool ask for child runs."""
        return tool is not None and tool.delegates and self._spec is not None

    def wanted(self, judged: Sequence[Judged]) -> list[Paid]:
        """Returns what money is drawn for the children of a decision."""
        carved = self._carved(judged, self._run.state).values()
        return [Paid(one.usd or 0, 1) for one in carved if isinstance(one, Limits)]

    def share(self, judged: Sequence[Judged]) -> None:
        """Shares what is left among the children of a decision, as far as ledgers hold it for the run."""
        self._shares = self._carved(judged, within_drawn(self._run.state))

    def hold(self, judged: Judged, tool: ToolSpec, parts: HoldParts) -> ChildHold:
        """Returns the hold of a call."""
        share = self._shares.get(judged.call.call_id, Shortfall("budget"))
        return ChildHold(self._run, parts, tool, judged.call, share)

    async def perform(self, hold: ChildHold, released: Released) -> Ended:
        """Runs a child to its end, and settles what it spent."""
        run, call, spec = self._run, released.call, self._spec
        arguments = DelegateArguments.of(call)
        async with self._room:
            if arguments is None or spec is None or hold.limits is None or not await run.running.go_ahead():
                return Ended("cancelled", STOPPED, begun=False)
            run_id = child_id(workflow.info().workflow_id, call.call_id, short_digest(call.content))
            request = ChildRequest.of(run.request, arguments, self._handed_down(call.call_id, hold.limits, spec))
            run.apply(ChildBegun(call.call_id, arguments.agent, run_id))
            with run.parked.at(call.call_id, None):
                end = await self._ended(ChildRef(call_id=call.call_id, run_id=run_id), request)
            run.apply(close_child(run.state, call.call_id, run_id, end.report(), run.clock.now_ms()))
            hold.settled()
        return self._told(end)

    def waits(self, told: ChildStanding) -> None:
        """Takes down that a child waits for people, or does not any more."""
        child = self._orders.below.get(told.call_id)
        if child is not None and child.execution == told.execution:
            self._run.apply(ChildWaits(told.call_id, told.waits))

    def _carved(self, judged: Sequence[Judged], state: RunState) -> dict[str, Limits | Shortfall]:
        going = [one.call for one in judged if one.verdict.outcome is not Outcome.DENY]
        read = {call.call_id: DelegateArguments.of(call) for call in going if self.asks(self._tool(call.tool))}
        asking = {call_id: one.asked for call_id, one in read.items() if one is not None}
        if not asking:
            return {}
        beside = sum((_alone(call.tool, self._tool(call.tool)) for call in going), Amount())
        found = carve(state.budget, [*asking.values()], beside, seconds_left(self._run), self._run.clock.now_ms())
        return dict(zip(asking, found, strict=True))

    def _tool(self, name: str) -> ToolSpec | None:
        return self._run.admission.tool(name)

    def _handed_down(self, call_id: str, limits: Limits, spec: DelegateSpec) -> ParentRun:
        run, above = self._run, parent_of(self._run.request)
        own = Above(agent=run.request.agent, version=run.admission.agent_version)
        return ParentRun(
            run_id=workflow.info().workflow_id,
            call_id=call_id,
            goal=asked_by_person(run.request),
            limits=limits,
            depth=spec.depth - 1,
            tools=[tool.name for tool in run.admission.tools],
            above=[own, *(above.above if above else [])],
            labels=sorted(labels_of(run)),
            taint=sorted(run.state.taint),
            proven=run.admission.proven,
        )

    async def _ended(self, child: ChildRef, request: ChildRequest) -> ChildEnd:
        """Starts a child and waits for its end, whatever that is."""
        told = summary(f"step {self._run.state.step}", f"asked by {inert(workflow.info().workflow_id)}")
        self._run.record.quiet.left()
        try:
            handle = await workflow.start_child_workflow(
                names.AGENT_RUN,
                plain(request),
                id=child.run_id,
                result_type=RunResult,
                parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
                id_reuse_policy=options.ONE_CHILD,
                static_summary=told,
                priority=options.shared_fairly(request.tenant),
            )
        except WorkflowAlreadyStartedError:
            return await self._begun_before(child)
        # While the child was started the run may have been killed, paused or held.
        self._orders.takes(child.call_id, Below(handle, handle.first_execution_run_id or ""))
        try:
            result: object = await handle
        except ChildWorkflowError as error:
            return _failed(error)
        finally:
            self._orders.leaves(child.call_id)
        return ChildEnd(result=result) if isinstance(result, RunResult) else ChildEnd()

    async def _begun_before(self, child: ChildRef) -> ChildEnd:
        """Asks what became of a child that was started before the run was reset: it is not started twice."""
        run = self._run
        how: ActivityConfig = {
            **options.DELEGATE,
            "activity_id": delegate_id(child.call_id),
            "summary": summary(f"step {run.state.step}", "what became of a child run?"),
        }
        handle = workflow.get_external_workflow_handle(child.run_id)
        self._orders.takes(child.call_id, Below(handle, ""))
        try:
            return await run.running.execute(names.DELEGATE, child, ChildEnd, how)
        except ActivityError:
            return ChildEnd()
        finally:
            self._orders.leaves(child.call_id)

    def _told(self, end: ChildEnd) -> Ended:
        result = end.result
        if result is None:
            return Ended("failed", end.refused or UNCLEAR, unclear=end.refused is None)
        self._run.labels.update(result.labels)
        text, _ = shortened(end.words, RESULT_BYTES)
        status = "completed" if end.answered else "failed"
        if status == "failed" and self._run.record.interrupted:
            status = "cancelled"
        answer = result.answer if end.answered else None
        return Ended(status, text, labels=tuple(result.labels), answer=answer)


def _failed(error: ChildWorkflowError) -> ChildEnd:
    """Reads how a child failed: only its own words prove that it spent less than what was held for it."""
    cause = error.cause
    if not isinstance(cause, ApplicationError):
        return ChildEnd()
    details: Sequence[Any] = cause.details
    return ending_of(cause.type, cause.message, details)


def _alone(name: str, tool: ToolSpec | None) -> Amount:
    """Returns what a call takes itself."""
    usd = options.paid(tool).usd if tool else 0
    return Amount(tool_calls=1, usd=usd, tools={name: 1})
