"""AgentRun: one governed run of an agent. The kernel decides, this obeys."""

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from backstay.contracts import names
from backstay.contracts.admission import Admission
from backstay.contracts.approval import GrantedVoteResult, VoteResult
from backstay.contracts.deeds import PAYLOADS
from backstay.contracts.incident import IncidentOrder
from backstay.contracts.messages import (
    NOBODY,
    Answer,
    Approve,
    Edit,
    Grant,
    GrantResult,
    Hold,
    Kill,
    MessageState,
    Vote,
)
from backstay.contracts.run import RunRequest, plain
from backstay.contracts.status import PageRequest, RunStatusView
from backstay.contracts.trace import Trace, Untraced
from backstay.contracts.trouble import ModelTrouble
from backstay.kernel.approval import Refusal
from backstay.kernel.events import CancelRequested, Closed, Granted, Killed, Paused, Resumed
from backstay.kernel.stop import RunStatus, Stop
from backstay.kernel.stopping import wraps_up
from backstay.kernel.terms import Agreed

from . import options
from .messages import fitting, invalid_input, occupied, repetitions
from .reporting import report
from .run.admit import ask_admission, begin
from .run.appeal import Appeals
from .run.approve import WAITING_BYTES, Approvals
from .run.authorize import Judged
from .run.calls import Calls
from .run.clock import Clock, closed_by_engine, wall_clock
from .run.decide import decide, wrap_up
from .run.draw import Purse
from .run.grant import granted
from .run.history import guard
from .run.hold import HoldParts
from .run.incident import change_of
from .run.ledgers import RunLedgers
from .run.live import LiveRun
from .run.measure import run_closed
from .run.messages import Messages, accepts
from .run.meters import Meters
from .run.page import details
from .run.prove import Proofs
from .run.publish import Publisher, clear_start_claims
from .run.record import Record
from .run.report import latest_of, result_of, standing_of, status_of
from .run.reports import RunReports
from .run.running import Running
from .run.turn import Turn

_APPROVE = f"Release the call of an open approval. Payload: {PAYLOADS[names.APPROVE]}"
_DENY = f"Refuse the call. Payload: {PAYLOADS[names.DENY]}"
_ANSWER = f"Say what became of a call. Payload: {PAYLOADS[names.ANSWER]}"
_EDIT = f"Change the arguments. Payload: {PAYLOADS[names.EDIT]}"
_GRANT = f"Add to limits of the run. Payload: {PAYLOADS[names.GRANT]}"
_KILL = f"End the run. Payload: {PAYLOADS[names.KILL]}"
_PAUSE = f"No new decision or action until resumed. Payload: {PAYLOADS[names.PAUSE]}"
_RESUME = f"Let a paused run go on. Payload: {PAYLOADS[names.RESUME]}"

OUTCOMES = ("happened", "not_happened", "stop")


@workflow.defn(name=names.AGENT_RUN)
class AgentRun:
    """Runs an agent to its end under a budget, a policy and the orders of people."""

    @workflow.init
    def __init__(self, *args: Any) -> None:
        request = repetitions() or occupied() or RunRequest.read(args)
        self._request = None if isinstance(request, list) else request
        self._problems = request if isinstance(request, list) else []
        self._record = Record(workflow.now, workflow.info().workflow_id, self._request)
        self._clock = Clock(self._record, workflow.now, workflow.info().start_time, closed_by_engine())
        self._running = Running(self._record, options.shared_fairly(self._request.tenant if self._request else ""))
        self._admission: Admission | None = None
        self._turn: Turn | None = None
        self._run: LiveRun | None = None  # from its turn on
        self._approvals: Approvals | None = None
        self._ledgers: RunLedgers | None = None
        requester = self._request.requested_by if self._request else None
        self._proofs = Proofs(self._record, self._clock, self._running, requester)
        self.messages = Messages(self._record, self._clock, self._problems)
        self.trace: Trace = Untraced()  # a worker that traces puts its own here
        self._record.heed(self._clock.heed)
        self._record.heed(self._running.heed)
        self._publisher: Publisher | None = None
        if self._request is not None:
            self._publisher = Publisher(self._request, lambda: standing_of(self._record), self._has_attributes)
            self._record.heed(self._publisher.heed)
            self._record.follow(RunReports(workflow.info().workflow_id, self._request, report))

    @workflow.run
    async def run(self, *args: Any) -> dict[str, Any]:
        """Runs the agent; the result is a `RunResult` as plain JSON."""
        clear_start_claims()
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
        guarding = asyncio.create_task(guard(self._record, self.messages))
        try:
            await workflow.wait_condition(work.done)
        except asyncio.CancelledError:
            self._record.apply(CancelRequested())
            await workflow.wait_condition(work.done)
            await self._end(None)
            raise
        finally:
            guarding.cancel()
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
            self._admission = admission
            self._clock.admit(admission)
            self._proofs.stance = admission.proofs
            run = LiveRun(request.unsigned(), admission, record=self._record, clock=self._clock, running=self._running)
            ledgers = self._ledgers = RunLedgers(run)
            self._turn = Turn(run, ledgers)
            if not admission.queues or await self._turn.come():
                self._run, self._approvals = run, Approvals(run)
                begin(run)
                await self._steps(run, self._approvals, ledgers)
        return None if self._record.state.cancelled else self._record.stop

    async def _steps(self, run: LiveRun, approvals: Approvals, ledgers: RunLedgers) -> None:
        appeals = Appeals(run, approvals)
        purse = Purse(run, ledgers)
        calls = Calls(run, approvals, HoldParts(purse, Meters(run, ledgers), appeals, approvals.standing))
        deadline = asyncio.create_task(self._clock.deadline())
        try:
            await purse.open()
            # While the ledgers were asked the run may have been killed, paused or cancelled, or its time be over.
            while self._record.stop is None and not self._record.state.cancelled:
                if await self._running.go_ahead():
                    await self._step(run, calls, appeals, purse)
            if wraps_up(self._record.state) and await self._running.go_ahead():
                with self.trace.step(self._status):
                    await wrap_up(run)
            self._clock.check_deadline()
        finally:
            deadline.cancel()

    async def _step(self, run: LiveRun, calls: Calls, appeals: Appeals, purse: Purse) -> None:
        with self.trace.step(self._status):
            decision = await decide(run, appeals, purse)
            # A pause or a kill may have come while the model was asked.
            if decision is not None and await self._running.go_ahead():
                await calls.perform(decision)

    async def _end(self, stop: Stop | None) -> None:
        self._record.apply(Closed(stop.reason if stop else None, stop.detail if stop else None))
        self._close(stop)
        if self._request is not None:
            run_closed(self._request.agent, stop, self._record.state.budget.spent.usd)
        if self._approvals is not None:
            await self._approvals.announced()
            await self._approvals.standing.told()
        if self._ledgers is not None:
            await self._ledgers.close()
        await workflow.wait_condition(workflow.all_handlers_finished)

    def _close(self, stop: Stop | None) -> None:
        self._clock.stop()
        self._record.close(stop)
        if self._publisher is not None:
            self._publisher.publish()

    def _status(self) -> RunStatusView:
        return status_of(self._record, self._clock, self._run)

    def page(self) -> str:
        """Returns the run's page for the Temporal UI, in Markdown."""
        if self._request is None:
            return ""
        latest = latest_of(self._record, self._run)
        return details(workflow.info().workflow_id, self._request, self._status(), latest)

    def _has_attributes(self) -> bool:
        return self._admission is not None and self._admission.search_attributes

    # Each message comes as a signal and as an update of one name; both are read in `messages`.

    async def _on_kill(self, args: tuple[Any, ...]) -> MessageState:
        kill = self.messages.kill(args)
        # A kill always kills, and waits for no proof: where names must be proven, it names nobody.
        by = NOBODY if self._proofs.stance == "required" else kill.by
        self._record.apply(Killed(by, kill.reason))
        return self.messages.state()

    async def _on_grant(self, args: tuple[Any, ...]) -> GrantResult:
        grant = self.messages.read(names.GRANT, Grant, args)
        # Until the run is admitted nobody knows who may grant.
        await workflow.wait_condition(lambda: self._run is not None or self._record.over or self._record.closed)
        self._clock.check_deadline()
        self._granted(grant)  # nothing is verified for a message that is refused anyway
        await self._proven(names.GRANT, grant)
        # While the proof was verified the run may have ended, and other grants may have taken the room.
        event = self._granted(grant)
        self._record.apply(event)
        if self._approvals is not None:
            self._approvals.raised(event)
        return GrantResult(state=self.messages.state().state, budget=self._record.limits())

    def _granted(self, grant: Grant) -> Granted:
        after = granted(self._run, grant)
        if isinstance(after, Refusal):
            raise self.messages.refused(names.GRANT, after.code, after.text, grant.by)
        return after

    async def _on_pause(self, args: tuple[Any, ...]) -> MessageState:
        pause = self.messages.read(names.PAUSE, Hold, args)
        await self._proven(names.PAUSE, pause)
        self._record.apply(Paused(pause.by, pause.reason))
        return self.messages.state()

    async def _on_resume(self, args: tuple[Any, ...]) -> MessageState:
        resume = self.messages.read(names.RESUME, Hold, args)
        await self._proven(names.RESUME, resume)
        self._record.apply(Resumed(resume.by, resume.reason))
        return self.messages.state()

    async def _on_approve(self, args: tuple[Any, ...]) -> VoteResult:
        vote = self.messages.read(names.APPROVE, Approve, args)
        self._agreed(vote, self._open(names.APPROVE, vote))  # nothing is verified for a message that is refused anyway
        approvals = await self._proven_open(names.APPROVE, vote)
        terms = self._agreed(vote, approvals)
        return approvals.vote(vote) if terms is None else await self._granting(vote, approvals, terms)

    def _agreed(self, vote: Approve, approvals: Approvals) -> Agreed | None:
        """Returns the standing grant that a yes wants to give, where the rules that ask allow it."""
        terms = approvals.agreed(vote)
        if isinstance(terms, Refusal):
            raise self.messages.refused(names.APPROVE, terms.code, terms.text, vote.by)
        return terms

    async def _granting(self, vote: Approve, approvals: Approvals, terms: Agreed) -> GrantedVoteResult:
        """Gives a standing grant and counts the yes that it comes with: both, or neither."""
        async with approvals.standing.giving:
            self._open(names.APPROVE, vote)  # another answer may have come first
            grant = await approvals.grant(vote, terms)
            if isinstance(grant, Refusal):
                raise self.messages.refused(names.APPROVE, grant.code, grant.text, vote.by)
            try:
                self._open(names.APPROVE, vote)  # while it was given, the approval may have expired
            except ApplicationError:
                await approvals.standing.revoke(grant)
                raise
            given = approvals.standing.granted(grant)
            return GrantedVoteResult(**approvals.vote(vote).model_dump(), grant=given)

    async def _on_deny(self, args: tuple[Any, ...]) -> VoteResult:
        vote = self.messages.read(names.DENY, Vote, args)
        return (await self._proven_open(names.DENY, vote)).deny(vote)

    async def _on_answer(self, args: tuple[Any, ...]) -> VoteResult:
        answer = self.messages.read(names.ANSWER, Answer, args)
        approvals = await self._proven_open(names.ANSWER, answer, releases=False)
        if answer.answer not in OUTCOMES:
            text = f"the answer is one of {', '.join(OUTCOMES)}"
            raise self.messages.refused(names.ANSWER, "InvalidAnswer", text, answer.by)
        return approvals.answered(answer)

    @workflow.update(name=names.EDIT, description=_EDIT)
    async def edit(self, *args: Any) -> dict[str, Any]:
        """Replaces the arguments of a waiting call, which then goes through policy as a new action."""
        self.messages.updates += 1
        edit = self.messages.read(names.EDIT, Edit, args)
        try:
            judged = await (await self._proven_open(names.EDIT, edit)).judge_edit(edit)
            approvals = self._changeable(edit, judged)
            judged = await approvals.recounted(edit, judged, lambda: self._open(names.EDIT, edit))
        except ActivityError as error:
            text = f"the edited call cannot be judged now: {error.cause}; try again"
            raise self.messages.refused(names.EDIT, names.UNSERVED, text, edit.by) from None
        return plain(approvals.edited(edit, judged))

    def _changeable(self, edit: Edit, judged: Judged) -> Approvals:
        """Returns the run's approvals, where a call can be replaced by the edited one."""
        if judged.verdict.unusable:
            text = f"the arguments do not fit: {judged.verdict.message}"
            raise self.messages.refused(names.EDIT, "InvalidArguments", text)
        # While policy was asked the approval may have been answered, or have expired.
        approvals = self._open(names.EDIT, edit)
        if not approvals.has_room(edit, judged.call):
            text = f"the arguments of all waiting calls would be longer than {WAITING_BYTES} bytes together"
            raise self.messages.refused(names.EDIT, "InvalidArguments", text, edit.by)
        return approvals

    @edit.validator
    def _edit_fits(self, *args: Any) -> None:
        self.messages.validate(Edit, args)

    def _open(self, name: str, vote: Vote, *, releases: bool = True) -> Approvals:
        """Returns the run's approvals, where a message answers an open one and its sender may answer it."""
        if self._approvals is None:
            raise self.messages.unknown_approval(name, vote)
        self.messages.check_approval(name, vote, releases=releases)
        return self._approvals

    async def _proven_open(self, name: str, vote: Vote, *, releases: bool = True) -> Approvals:
        """Returns the run's approvals, where its sender may answer the open one and is who the message says."""
        self._open(name, vote, releases=releases)  # nothing is verified for a message that is refused anyway
        await self._proven(name, vote)
        # While the proof was verified the approval may have been answered, or have expired.
        return self._open(name, vote, releases=releases)

    async def _proven(self, name: str, message: Vote | Hold | Grant) -> None:
        if refusal := await self._proofs.refuses(name, message):
            raise self.messages.refused(name, refusal.code, refusal.text, message.by)

    approve_signal, approve = accepts(names.APPROVE, _APPROVE, Approve, _on_approve)
    answer_signal, answer = accepts(names.ANSWER, _ANSWER, Answer, _on_answer)
    deny_signal, deny = accepts(names.DENY, _DENY, Vote, _on_deny)
    grant_signal, grant = accepts(names.GRANT, _GRANT, Grant, _on_grant)
    kill_signal, kill = accepts(names.KILL, _KILL, Kill, _on_kill)
    pause_signal, pause = accepts(names.PAUSE, _PAUSE, Hold, _on_pause)
    resume_signal, resume = accepts(names.RESUME, _RESUME, Hold, _on_resume)

    @workflow.signal(name=names.MODEL_TROUBLE, description="Workers tell of a failing model.")
    async def model_trouble(self, *args: Any) -> None:
        """Shows a failed attempt at a decision, which the engine does not tell the run of."""
        await self.messages.quietly(self._on_model_trouble, args)

    async def _on_model_trouble(self, args: tuple[Any, ...]) -> ModelTrouble:
        trouble = self.messages.read(names.MODEL_TROUBLE, ModelTrouble, args)
        self._record.fails(trouble)
        return trouble

    @workflow.signal(name=names.TURN, description="The ledger in which the run waits calls it.")
    def turn(self, *_: Any) -> None:
        """Lets a run that waits ask whether its turn has come; it harms no other."""
        self.messages.signals += 1
        if self._turn is not None:
            self._turn.call()

    @workflow.signal(name=names.INCIDENT, description="A stop of a part of the fleet, sent by its sweep.")
    async def incident(self, *args: Any) -> None:
        """Ends the run, holds it or lets it go on, as an incident in whose scope it lies says."""
        await self.messages.quietly(self._on_incident, args)

    async def _on_incident(self, args: tuple[Any, ...]) -> MessageState:
        order = self.messages.read(names.INCIDENT, IncidentOrder, args)
        state = self._record.state
        if self._request and (change := change_of(order, self._request, state.frozen, self._clock)):
            self._record.apply(change)
        return self.messages.state()

    @workflow.signal(dynamic=True)
    async def other_signal(self, name: str, args: Sequence[RawValue]) -> None:
        """Takes down a signal of a name that the run does not know."""
        await self.messages.quietly(lambda _: self.messages.unknown(name), ())

    @workflow.query(name=names.STATUS, description="Where the run stands: state, budget, approvals. No input.")
    def status(self) -> dict[str, Any]:
        """Returns where the run stands, with its seconds up to now: a run that waits has no task for a long time."""
        return plain(status_of(self._record, self._clock, self._run, wall_clock()))

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
