"""AgentRun: one governed run of an agent. The kernel decides, this obeys."""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from backstay.contracts import names
from backstay.contracts.admission import Admission
from backstay.contracts.approval import VoteResult
from backstay.contracts.messages import Answer, Edit, Hold, Kill, MessageState, Vote
from backstay.contracts.run import RunRequest, plain
from backstay.contracts.status import PageRequest
from backstay.contracts.trace import Trace, Untraced
from backstay.kernel.approval import ApprovalKind
from backstay.kernel.events import CancelRequested, Closed, DeadlinePassed, Killed, Paused, Resumed
from backstay.kernel.stop import RunStatus, Stop

from .run.admit import admit
from .run.approve import WAITING_BYTES, Approvals
from .run.calls import perform
from .run.decide import decide
from .run.live import LiveRun
from .run.messages import Inbox, accepts, invalid_input

_APPROVE = 'Release the call of an open approval. Payload: {"approval_id": "apr_...", "by": "you@example.com"}'
_DENY = 'Refuse the call. Payload: {"approval_id": "apr_...", "by": "you@example.com", "comment": "why"}'
_ANSWER = 'Say what became of a call. Payload: {"approval_id": "apr_...", "by": "you", "answer": "happened"}'
_EDIT = 'Change the arguments. Payload: {"approval_id": "apr_...", "by": "you@example.com", "args": {}}'
_KILL = 'End the run. Payload: {"by": "you@example.com", "reason": "why"}'
_PAUSE = 'No new decision or action until resumed. Payload: {"by": "you@example.com", "reason": "why"}'
_RESUME = 'Let a paused run go on. Payload: {"by": "you@example.com"}'

OUTCOMES = ("happened", "not_happened", "stop")


@workflow.defn(name=names.AGENT_RUN)
class AgentRun:
    """Runs an agent to its end under a budget, a policy and the orders of people."""

    @workflow.init
    def __init__(self, *args: Any) -> None:
        request = RunRequest.read(args)
        self._problems = request if isinstance(request, list) else None
        self._run = LiveRun(RunRequest(goal="-") if isinstance(request, list) else request)
        self._approvals = Approvals(self._run)
        self.inbox = Inbox(self._run, self._problems)
        self.trace: Trace = Untraced()  # a worker that traces puts its own here

    @workflow.run
    async def run(self, *args: Any) -> dict[str, Any]:
        """Runs the agent; the result is a `RunResult` as plain JSON."""
        if self._problems is not None:
            self._run.close(None)
            raise invalid_input(self._problems)
        try:
            return await self._governed()
        except FailureError:
            self._run.close(self._run.stop)
            raise
        except Exception as bug:
            # A bug of ours must not leave the run in endless workflow-task retries: it fails, and says so.
            text = f"{type(bug).__name__} in the run itself"
            raise ApplicationError(text, type="InternalError", non_retryable=True) from bug

    async def _governed(self) -> dict[str, Any]:
        work = asyncio.create_task(self._work())
        try:
            await workflow.wait_condition(work.done)
        except asyncio.CancelledError:
            self._run.apply(CancelRequested())
            await workflow.wait_condition(work.done)
            await self._close(None)
            raise
        stop = await work
        await self._close(stop)
        if stop is None:
            raise ApplicationError("the run ended without a reason", type="InternalError", non_retryable=True)
        result = plain(self._run.result(stop))
        if stop.status is RunStatus.FAILED:
            raise ApplicationError(f"{stop.reason}: {stop.detail}", result, type=stop.error_type, non_retryable=True)
        return result

    async def _work(self) -> Stop | None:
        """The step loop; None where the engine cancelled the run."""
        admission = await admit(self._run)
        if admission is not None:
            await self._steps(admission)
        return None if self._run.state.cancelled else self._run.stop

    async def _steps(self, admission: Admission) -> None:
        deadline = asyncio.create_task(self._deadline(admission))
        try:
            while self._run.stop is None and not self._run.state.cancelled:
                if await self._run.go_ahead():
                    await self._step(admission)
            self._look_at_the_clock(admission)
        finally:
            deadline.cancel()

    async def _step(self, admission: Admission) -> None:
        with self.trace.step(self._run.status):
            decision = await decide(self._run, admission)
            if decision is not None and await self._run.go_ahead():
                await perform(self._run, self._approvals, admission, decision)

    async def _deadline(self, admission: Admission) -> None:
        """Passes the deadline once the run's seconds are over; time spent waiting for people counts unless excluded."""
        limit = admission.limits.seconds
        if limit is None:
            return
        left = timedelta(seconds=limit - self._run.seconds())
        while left > timedelta(0):
            began = workflow.now()
            try:
                await workflow.wait_condition(
                    lambda: admission.seconds_exclude_approvals and bool(self._run.state.open_approvals),
                    timeout=left,
                    timeout_summary="the run's deadline",
                )
            except TimeoutError:
                break
            left -= workflow.now() - began
            await workflow.wait_condition(lambda: not self._run.state.open_approvals)
        self._run.apply(DeadlinePassed(limit))

    def _look_at_the_clock(self, admission: Admission) -> None:
        """Passes a deadline that fell into a time without a worker, whatever else arrived in that time."""
        limit = admission.limits.seconds
        if limit is not None and self._run.seconds() > limit:
            self._run.apply(DeadlinePassed(limit))

    async def _close(self, stop: Stop | None) -> None:
        self._run.apply(Closed(stop.reason if stop else None, stop.detail if stop else None))
        self._run.close(stop)
        await self._approvals.announced()
        await workflow.wait_condition(workflow.all_handlers_finished)

    # Each message comes as a signal and as an update of one name; both go through the inbox.

    def _on_kill(self, args: tuple[Any, ...]) -> MessageState:
        kill = self.inbox.read(names.KILL, Kill, args)
        self._run.apply(Killed(kill.by, kill.reason))
        return self.inbox.state()

    def _on_pause(self, args: tuple[Any, ...]) -> MessageState:
        pause = self.inbox.read(names.PAUSE, Hold, args)
        self._run.apply(Paused(pause.by, pause.reason))
        return self.inbox.state()

    def _on_resume(self, args: tuple[Any, ...]) -> MessageState:
        resume = self.inbox.read(names.RESUME, Hold, args)
        self._run.apply(Resumed(resume.by, resume.reason))
        return self.inbox.state()

    def _on_approve(self, args: tuple[Any, ...]) -> VoteResult:
        vote = self.inbox.read(names.APPROVE, Vote, args)
        self.inbox.approval(names.APPROVE, vote)
        return self._approvals.vote(vote)

    def _on_deny(self, args: tuple[Any, ...]) -> VoteResult:
        vote = self.inbox.read(names.DENY, Vote, args)
        self.inbox.approval(names.DENY, vote)
        return self._approvals.deny(vote)

    def _on_answer(self, args: tuple[Any, ...]) -> VoteResult:
        answer = self.inbox.read(names.ANSWER, Answer, args)
        self.inbox.approval(names.ANSWER, answer, ApprovalKind.OUTCOME_UNKNOWN)
        if answer.answer not in OUTCOMES:
            text = f"the answer is one of {', '.join(OUTCOMES)}"
            raise self.inbox.refused(names.ANSWER, "InvalidAnswer", text, answer.by)
        return self._approvals.answered(answer)

    @workflow.update(name=names.EDIT, description=_EDIT)
    async def edit(self, *args: Any) -> dict[str, Any]:
        """Replaces the arguments of a waiting call, which then goes through policy as a new action."""
        edit = self.inbox.read(names.EDIT, Edit, args)
        self.inbox.approval(names.EDIT, edit)
        call, verdict, members = await self._approvals.judge_edit(edit)
        if verdict.unusable:
            raise self.inbox.refused(names.EDIT, "InvalidArguments", f"the arguments do not fit: {verdict.message}")
        self.inbox.approval(names.EDIT, edit)
        if not self._approvals.has_room(edit, call):
            text = f"the arguments of all waiting calls would be longer than {WAITING_BYTES} bytes together"
            raise self.inbox.refused(names.EDIT, "InvalidArguments", text, edit.by)
        return plain(self._approvals.edited(edit, call, verdict, members))

    @edit.validator
    def _edit_fits(self, *args: Any) -> None:
        self.inbox.validate(Edit, args)

    approve_signal, approve = accepts(names.APPROVE, _APPROVE, Vote, _on_approve)
    answer_signal, answer = accepts(names.ANSWER, _ANSWER, Answer, _on_answer)
    deny_signal, deny = accepts(names.DENY, _DENY, Vote, _on_deny)
    kill_signal, kill = accepts(names.KILL, _KILL, Kill, _on_kill)
    pause_signal, pause = accepts(names.PAUSE, _PAUSE, Hold, _on_pause)
    resume_signal, resume = accepts(names.RESUME, _RESUME, Hold, _on_resume)

    @workflow.query(name=names.STATUS, description="Where the run stands: state, budget, approvals. No input.")
    def status(self) -> dict[str, Any]:
        """Where the run stands."""
        return plain(self._run.status())

    @workflow.query(
        name=names.TRANSCRIPT, description='The conversation. Input: {"after": 0, "limit": 1000}, optional.'
    )
    def transcript(self, *args: Any) -> dict[str, Any]:
        """A part of the conversation."""
        return plain(self._run.ledger.items(self.inbox.asked(PageRequest, args)))

    @workflow.query(name=names.AUDIT, description='The audit records. Input: {"after": 0, "limit": 1000}, optional.')
    def audit(self, *args: Any) -> dict[str, Any]:
        """A part of the audit trail."""
        return plain(self._run.ledger.records(self.inbox.asked(PageRequest, args)))
