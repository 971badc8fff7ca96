"""AgentRun: one governed run of an agent. The kernel decides, this obeys."""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from backstay.contracts import names
from backstay.contracts.approval import VoteResult
from backstay.contracts.messages import Answer, Edit, Hold, Kill, MessageState, Vote
from backstay.contracts.run import RunRequest, plain
from backstay.contracts.status import PageRequest, RunStatusView
from backstay.contracts.trace import Trace, Untraced
from backstay.kernel.approval import ApprovalKind
from backstay.kernel.events import CancelRequested, Closed, Killed, Paused, Resumed
from backstay.kernel.stop import RunStatus, Stop

from .messages import fitting, invalid_input, repetitions
from .run.admit import ask_admission, begin
from .run.approve import WAITING_BYTES, Approvals
from .run.calls import Calls
from .run.clock import Clock
from .run.decide import decide
from .run.live import LiveRun
from .run.messages import Messages, accepts
from .run.publish import Publisher
from .run.record import Record
from .run.report import result_of, status_of
from .run.running import Running

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
        request = repetitions() or RunRequest.read(args)
        self._request = None if isinstance(request, list) else request
        self._problems = request if isinstance(request, list) else []
        self._record = Record(workflow.now)
        self._clock = Clock(self._record, workflow.now, workflow.info().start_time)
        self._running = Running(self._record)
        self._run: LiveRun | None = None  # from its admission on
        self._approvals: Approvals | None = None
        self.messages = Messages(self._record, self._clock, self._problems)
        self.trace: Trace = Untraced()  # a worker that traces puts its own here
        self._record.heed(self._clock.heed)
        self._record.heed(self._running.heed)
        self._publisher: Publisher | None = None
        if self._request is not None:
            self._publisher = Publisher(self._request, self._status, self._has_attributes)
            self._record.heed(self._publisher.heed)

    @workflow.run
    async def run(self, *args: Any) -> dict[str, Any]:
        """Runs the agent; the result is a `RunResult` as plain JSON."""
        if self._request is None:
            self._record.close(None)
            raise invalid_input(self._problems)
        try:
            return await self._governed(self._request)
        except FailureError:
            self._close(self._record.stop)
            raise
        except Exception as bug:
            # A bug of ours must not leave the run in endless workflow-task retries: it fails, and says so.
            text = f"{type(bug).__name__} in the run itself"
            raise ApplicationError(text, type="InternalError", non_retryable=True) from bug

    async def _governed(self, request: RunRequest) -> dict[str, Any]:
        work = asyncio.create_task(self._work(request))
        try:
            await workflow.wait_condition(work.done)
        except asyncio.CancelledError:
            self._record.apply(CancelRequested())
            await workflow.wait_condition(work.done)
            await self._end(None)
            raise
        stop = await work
        await self._end(stop)
        if stop is None:
            raise ApplicationError("the run ended without a reason", type="InternalError", non_retryable=True)
        result = plain(result_of(request, self._record, self._clock, self._run, stop))
        if stop.status is RunStatus.FAILED:
            raise ApplicationError(f"{stop.reason}: {stop.detail}", result, type=stop.error_type, non_retryable=True)
        return result

    async def _work(self, request: RunRequest) -> Stop | None:
        """Runs the step loop; returns None where the engine cancelled the run."""
        admission = await ask_admission(request, self._record, self._running)
        if admission is not None:
            self._clock.excludes_waiting = admission.seconds_exclude_approvals
            run = LiveRun(request, admission, record=self._record, clock=self._clock, running=self._running)
            self._run, self._approvals = run, Approvals(run)
            begin(run)
            await self._steps(run, Calls(run, self._approvals))
        return None if self._record.state.cancelled else self._record.stop

    async def _steps(self, run: LiveRun, calls: Calls) -> None:
        deadline = asyncio.create_task(self._clock.deadline())
        try:
            while self._record.stop is None and not self._record.state.cancelled:
                if await self._running.go_ahead():
                    await self._step(run, calls)
            self._clock.check_deadline()
        finally:
            deadline.cancel()

    async def _step(self, run: LiveRun, calls: Calls) -> None:
        with self.trace.step(self._status):
            decision = await decide(run)
            # A pause or a kill may have come while the model was asked.
            if decision is not None and await self._running.go_ahead():
                await calls.perform(decision)

    async def _end(self, stop: Stop | None) -> None:
        self._record.apply(Closed(stop.reason if stop else None, stop.detail if stop else None))
        self._close(stop)
        if self._approvals is not None:
            await self._approvals.announced()
        await workflow.wait_condition(workflow.all_handlers_finished)

    def _close(self, stop: Stop | None) -> None:
        self._clock.stop()
        self._record.close(stop)
        if self._publisher is not None:
            self._publisher.publish()

    def _status(self) -> RunStatusView:
        return status_of(self._record, self._clock, self._run)

    def _has_attributes(self) -> bool:
        return self._run is not None and self._run.admission.search_attributes

    # Each message comes as a signal and as an update of one name; both are read in `messages`.

    def _on_kill(self, args: tuple[Any, ...]) -> MessageState:
        kill = self.messages.read(names.KILL, Kill, args)
        self._record.apply(Killed(kill.by, kill.reason))
        return self.messages.state()

    def _on_pause(self, args: tuple[Any, ...]) -> MessageState:
        pause = self.messages.read(names.PAUSE, Hold, args)
        self._record.apply(Paused(pause.by, pause.reason))
        return self.messages.state()

    def _on_resume(self, args: tuple[Any, ...]) -> MessageState:
        resume = self.messages.read(names.RESUME, Hold, args)
        self._record.apply(Resumed(resume.by, resume.reason))
        return self.messages.state()

    def _on_approve(self, args: tuple[Any, ...]) -> VoteResult:
        vote = self.messages.read(names.APPROVE, Vote, args)
        return self._open(names.APPROVE, vote).vote(vote)

    def _on_deny(self, args: tuple[Any, ...]) -> VoteResult:
        vote = self.messages.read(names.DENY, Vote, args)
        return self._open(names.DENY, vote).deny(vote)

    def _on_answer(self, args: tuple[Any, ...]) -> VoteResult:
        answer = self.messages.read(names.ANSWER, Answer, args)
        approvals = self._open(names.ANSWER, answer, ApprovalKind.OUTCOME_UNKNOWN)
        if answer.answer not in OUTCOMES:
            text = f"the answer is one of {', '.join(OUTCOMES)}"
            raise self.messages.refused(names.ANSWER, "InvalidAnswer", text, answer.by)
        return approvals.answered(answer)

    @workflow.update(name=names.EDIT, description=_EDIT)
    async def edit(self, *args: Any) -> dict[str, Any]:
        """Replaces the arguments of a waiting call, which then goes through policy as a new action."""
        edit = self.messages.read(names.EDIT, Edit, args)
        judged = await self._open(names.EDIT, edit).judge_edit(edit)
        if judged.verdict.unusable:
            text = f"the arguments do not fit: {judged.verdict.message}"
            raise self.messages.refused(names.EDIT, "InvalidArguments", text)
        # While policy was asked the approval may have been answered, or have expired.
        approvals = self._open(names.EDIT, edit)
        if not approvals.has_room(edit, judged.call):
            text = f"the arguments of all waiting calls would be longer than {WAITING_BYTES} bytes together"
            raise self.messages.refused(names.EDIT, "InvalidArguments", text, edit.by)
        return plain(approvals.edited(edit, judged))

    @edit.validator
    def _edit_fits(self, *args: Any) -> None:
        self.messages.validate(Edit, args)

    def _open(self, name: str, vote: Vote, kind: ApprovalKind = ApprovalKind.ACTION) -> Approvals:
        """Returns the run's approvals, where a message answers an open one and its sender may answer it."""
        if self._approvals is None:
            raise self.messages.unknown_approval(name, vote)
        self.messages.check_approval(name, vote, kind)
        return self._approvals

    approve_signal, approve = accepts(names.APPROVE, _APPROVE, Vote, _on_approve)
    answer_signal, answer = accepts(names.ANSWER, _ANSWER, Answer, _on_answer)
    deny_signal, deny = accepts(names.DENY, _DENY, Vote, _on_deny)
    kill_signal, kill = accepts(names.KILL, _KILL, Kill, _on_kill)
    pause_signal, pause = accepts(names.PAUSE, _PAUSE, Hold, _on_pause)
    resume_signal, resume = accepts(names.RESUME, _RESUME, Hold, _on_resume)

    @workflow.query(name=names.STATUS, description="Where the run stands: state, budget, approvals. No input.")
    def status(self) -> dict[str, Any]:
        """Returns where the run stands."""
        return plain(self._status())

    @workflow.query(
        name=names.TRANSCRIPT, description='The conversation. Input: {"after": 0, "limit": 1000}, optional.'
    )
    def transcript(self, *args: Any) -> dict[str, Any]:
        """Returns a part of the conversation."""
        return plain(self._record.items(fitting(PageRequest, args or ({},))))

    @workflow.query(name=names.AUDIT, description='The audit records. Input: {"after": 0, "limit": 1000}, optional.')
    def audit(self, *args: Any) -> dict[str, Any]:
        """Returns a part of the audit trail."""
        return plain(self._record.records(fitting(PageRequest, args or ({},))))
