"""AgentRun: one governed run of an agent. The kernel decides, this obeys."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, FailureError

from backstay.contracts import names
from backstay.contracts.admission import Admission
from backstay.contracts.carried_call import CarriedAsking
from backstay.contracts.carry import Carried, Start, read_link
from backstay.contracts.decision import Decision
from backstay.contracts.deeds import PAYLOADS
from backstay.contracts.delegate import parent_of
from backstay.contracts.incident import IncidentOrder
from backstay.contracts.messages import Edit, MessageState
from backstay.contracts.problems import Contract
from backstay.contracts.run import RunRequest, plain
from backstay.contracts.status import PageRequest, RunStatusView
from backstay.contracts.trace import Trace, Untraced
from backstay.contracts.trouble import ModelTrouble
from backstay.kernel.events import CancelRequested, Closed
from backstay.kernel.stop import RunStatus, Stop
from backstay.kernel.stopping import wraps_up

from . import options
from .messages import fitting, invalid_input, occupied, repetitions, started_by
from .reporting import report
from .run import changes
from .run.accepted import ACCEPTED
from .run.admit import ask_admission, begin
from .run.answers import Answers
from .run.appeal import Appeals
from .run.approve import Approvals
from .run.archive import Archiving
from .run.calls import Calls
from .run.carry import Parts, Watchers, carry_on, recall
from .run.chain import Chain
from .run.clock import Clock, closed_by_engine, wall_clock
from .run.decide import decide, wrap_up
from .run.delegate import Children
from .run.draw import Purse
from .run.family import Family
from .run.history import guard
from .run.hold import HoldParts
from .run.incident import change_of
from .run.ledgers import RunLedgers
from .run.live import LiveRun
from .run.measure import tell
from .run.measured import Measured
from .run.messages import Messages
from .run.meters import Meters
from .run.orders import Orders
from .run.page import details
from .run.parked import DecisionStand
from .run.prove import Proofs
from .run.publish import Publisher, clear_start_claims
from .run.quiet import Quiet
from .run.record import Record
from .run.report import latest_of, result_of, standing_of, status_of
from .run.reports import RunReports
from .run.rolling import Rolling
from .run.running import Running
from .run.say import Conversation
from .run.turn import Turn

_EDIT = f"Change the arguments. Payload: {PAYLOADS[names.EDIT]}"


@workflow.defn(name=names.AGENT_RUN)
class AgentRun:
    """Runs an agent to its end under a budget, a policy and the orders of people."""

    @workflow.init
    def __init__(self, *args: Any) -> None:
        # Cron and retries have a run before them too; what a link hands on is believed from continue-as-new alone.
        continued = workflow.info().continued_run_id is not None
        start = repetitions() or occupied() or read_link(args, started_by(), continued=continued)
        self._request = start.request if isinstance(start, Start) else None
        self._carried = start.carried if isinstance(start, Start) else None
        self._problems = start if isinstance(start, list) else []
        if self._request is not None:
            changes.begin()
        self._record = Record(workflow.now, workflow.info().workflow_id, self._request)
        self._record.quiet = Quiet(workflow.info().get_current_history_length)
        self._clock = Clock(self._record, workflow.now, workflow.info().start_time, closed_by_engine())
        self._running = Running(self._record, options.shared_fairly(self._request.tenant if self._request else ""))
        self._admission: Admission | None = self._carried.admission if self._carried else None
        self._turn: Turn | None = None
        self._run: LiveRun | None = None  # from its turn on
        self._ledgers: RunLedgers | None = None
        self._archiving: Archiving | None = None
        requester = self._request.requested_by if self._request else None
        self._proofs = Proofs(self._record, self._clock, self._running, requester)
        self.messages = Messages(self._record, self._clock, self._problems, self._proofs)
        self._chain = Chain(self.messages, self._carried)
        parent = parent_of(self._request) if self._request else None
        self._family = Family(self._record, self._clock, self.messages, parent)
        self._orders = Orders(self._record, self._clock, self.messages, self._family)
        self._answers = Answers(self.messages, self._record, self._carried)
        self._conversation = Conversation(self._record, self._clock, self.messages, self._chain)
        self._meant: Mapping[str, Callable[[tuple[Any, ...]], Awaitable[Contract]]] = {
            names.APPROVE: self._answers.approve,
            names.ANSWER: self._answers.answer,
            names.DENY: self._answers.deny,
            names.GRANT: self._orders.grant,
            names.KILL: self._orders.kill,
            names.PAUSE: self._orders.pause,
            names.RESUME: self._orders.resume,
            names.SAY: self._conversation.say,
        }
        self.trace: Trace = Untraced()  # a worker that traces puts its own here
        self._record.heed(self._clock.heed)
        self._record.heed(self._running.heed)
        self._publisher: Publisher | None = None
        if self._request is not None:
            self._publisher = Publisher(
                self._request, lambda: standing_of(self._record), self._has_attributes, self._record.quiet.left
            )
            self._record.heed(self._publisher.heed)
            reports = RunReports(workflow.info().workflow_id, self._request, report)
            measured = Measured(self._record, self._clock, tell)
            self._record.follow(reports)
            self._record.follow(measured)
            self._watchers = Watchers(self._chain, self._proofs, self._family, reports)
            self._rolling = Rolling(self._record, self._watchers)
            if self._carried is not None:
                self._carry_on(self._carried, measured)

    def _carry_on(self, carried: Carried, measured: Measured) -> None:
        """Goes on where the link before has left off; messages may come before the run's first step."""
        self._record.carry_on(carried)
        self._clock.carry_on(carried)
        self._watchers.proofs.carry_on(carried.proofs)
        self._watchers.family.carry_on(carried.paused_by_parent)
        self._watchers.reports.carry_on(carried)
        measured.carry_on(carried)

    @workflow.run
    async def run(self, *args: Any) -> dict[str, Any]:
        """Runs the agent; the result is a `RunResult` as plain JSON."""
        clear_start_claims()
        if self._publisher is not None:
            self._publisher.begin()
            if self._carried is not None:
                self._publisher.heed()
        if self._request is None:
            self._record.close(None)
            raise invalid_input(self._problems)
        quiet = asyncio.create_task(self._record.quiet.guard(lambda: self._record.audit.records))
        try:
            return await self._governed(self._request)
        except FailureError:
            self._close(self._record.stop)
            raise
        except Exception as bug:
            # A bug of ours must not leave the run in endless workflow-task retries: it fails, and says so.
            text = f"{type(bug).__name__} in the run itself"
            raise ApplicationError(text, type="InternalError", non_retryable=True) from bug
        finally:
            quiet.cancel()

    async def _governed(self, request: RunRequest) -> dict[str, Any]:
        work = asyncio.create_task(self._work(request))
        guarding = asyncio.create_task(guard(self._record, self.messages, self._chain))
        try:
            await self._worked(work)
        except asyncio.CancelledError:
            self._record.apply(CancelRequested())
            await workflow.wait_condition(work.done)
            await self._end(None)
            raise
        finally:
            guarding.cancel()
        stop = await work
        if self._rolling.rolls and not self._record.over and (handed := self._rolling.handed_on()) is not None:
            workflow.continue_as_new(handed)
        await self._end(stop)
        if stop is None:
            raise ApplicationError("the run ended without a reason", type="InternalError", non_retryable=True)
        result = plain(result_of(request, self._record, self._clock, self._run, stop))
        if stop.status is RunStatus.FAILED:
            raise ApplicationError(f"{stop.reason}: {stop.detail}", result, type=stop.error_type, non_retryable=True)
        return result

    async def _worked(self, work: asyncio.Task[Stop | None]) -> None:
        """Waits until the work is done; in the middle of it another link may go on, and what waits here is dropped."""
        while not work.done():
            await workflow.wait_condition(lambda: work.done() or self._rolling.ready)
            if not work.done() and self._rolling.ready and (handed := self._rolling.handed_on()) is not None:
                workflow.continue_as_new(handed)

    async def _work(self, request: RunRequest) -> Stop | None:
        """Runs the step loop; returns None where the engine cancelled the run."""
        carried = self._carried
        admission = carried.admission if carried else await ask_admission(request, self._record, self._running)
        if admission is not None:
            self._admission = admission
            self._clock.admit(admission)
            self._proofs.stance = admission.proofs
            run = LiveRun(request.unsigned(), admission, record=self._record, clock=self._clock, running=self._running)
            ledgers = self._ledgers = RunLedgers(run)
            archiving = self._archiving = Archiving(run)
            self._turn = Turn(run, ledgers)
            if carried or not admission.queues or await self._turn.come():
                approvals = Approvals(run)
                self._run = run
                if carried is None:
                    self._answers.begin(approvals)
                self._orders.begin(run, approvals)
                parts = Parts(run, approvals, ledgers, archiving, Purse(run, ledgers), Meters(run, ledgers))
                await self._steps(parts, carried)
        return None if self._record.state.cancelled else self._record.stop

    async def _steps(self, parts: Parts, carried: Carried | None) -> None:
        run, purse = parts.run, parts.purse
        self._rolling.begin(parts)
        if carried is None:
            begin(run)
        else:
            carry_on(parts, carried)
        self._conversation.begin(run)
        appeals = Appeals(run, parts.approvals)
        children = self._family.children = Children(run)
        holds = HoldParts(purse, parts.meters, appeals, parts.approvals.standing)
        calls = Calls(run, parts.approvals, holds, children)
        beside = [asyncio.create_task(self._clock.deadline()), asyncio.create_task(self._rolling.midway(parts))]
        try:
            if carried is not None:
                await self._go_on(parts, carried, calls)
            await purse.open()
            # While the ledgers were asked the run may have been killed, paused or cancelled, or its time be over.
            while self._record.stop is None and not self._record.state.cancelled:
                if not run.left and await self._rolling.between(parts):
                    return
                if run.left or (await self._conversation.heard() and await self._running.go_ahead()):
                    await self._step(run, calls, appeals, purse)
                    self._conversation.answered(run)
            if wraps_up(self._record.state) and await self._running.go_ahead():
                with self.trace.step(self._status):
                    await wrap_up(run)
                    self._conversation.answered(run)
            self._clock.check_deadline()
        finally:
            for task in beside:
                task.cancel()

    async def _go_on(self, parts: Parts, carried: Carried, calls: Calls) -> None:
        """Goes on in the middle of the decision that the link before has left, once this one has the conversation."""
        results = await recall(parts.run, carried.calls)
        if results is not None:
            self._chain.opens()
            parts.archiving.catch_up()
        self._answers.begin(parts.approvals)
        if carried.calls:
            await calls.go_on(carried.calls, results or {})

    async def _step(self, run: LiveRun, calls: Calls, appeals: Appeals, purse: Purse) -> None:
        with self.trace.step(self._status):
            left = run.left.proposed if run.left else []
            decision = Decision(calls=left) if left else await decide(run, appeals, purse)
            run.left = None
            if decision is None:
                return
            stand = DecisionStand(lambda: run.state.stands_still, CarriedAsking(proposed=decision.calls))
            with run.parked.deciding(stand):
                # A pause or a kill may have come while the model was asked.
                ahead = await self._running.go_ahead()
            if ahead:
                await calls.perform(decision)

    async def _end(self, stop: Stop | None) -> None:
        self._record.apply(Closed(stop.reason if stop else None, stop.detail if stop else None))
        self._close(stop)
        if (approvals := self._answers.approvals) is not None:
            await approvals.announced()
            await approvals.standing.told()
        if self._ledgers is not None:
            await self._ledgers.close()
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._archiving is not None:
            await self._archiving.close()

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
        info = workflow.info()
        return details(info.workflow_id, self._request, self._status(), latest, info.namespace)

    def _has_attributes(self) -> bool:
        return self._admission is not None and self._admission.search_attributes

    # Each message comes as a signal and as an update of one name; both are read in `messages`.

    @workflow.update(name=names.EDIT, description=_EDIT)
    async def edit(self, *args: Any) -> dict[str, Any]:
        """Replaces the arguments of a waiting call, which then goes through policy as a new action."""
        self.messages.updates += 1
        return plain(await self._answers.edit(args))

    @edit.validator
    def _edit_fits(self, *args: Any) -> None:
        self.messages.validate(Edit, args)

    async def receive(self, name: str, args: tuple[Any, ...]) -> Contract:
        """Does what a message of people asks for."""
        return await self._meant[name](args)

    approve_signal, approve = ACCEPTED[names.APPROVE]
    answer_signal, answer = ACCEPTED[names.ANSWER]
    deny_signal, deny = ACCEPTED[names.DENY]
    grant_signal, grant = ACCEPTED[names.GRANT]
    kill_signal, kill = ACCEPTED[names.KILL]
    pause_signal, pause = ACCEPTED[names.PAUSE]
    resume_signal, resume = ACCEPTED[names.RESUME]
    say_signal, say = ACCEPTED[names.SAY]

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

    @workflow.signal(name=names.PARENT, description="The run above holds or ends this one.")
    async def parent(self, *args: Any) -> None:
        """Does what the run above wants of all below it."""
        await self.messages.quietly(self._family.ordered, args)

    @workflow.signal(name=names.CHILD, description="A child run waits for people, or not any more.")
    async def child(self, *args: Any) -> None:
        """Takes down where a child run stands."""
        await self.messages.quietly(self._family.told, args)

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
