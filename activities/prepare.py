"""Prepares a call for the activities that execute it or ask after it: reviews it, and builds its `ToolCall`."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from backstay.contracts.admission import Opening, ToolSpec
from backstay.contracts.call import ActInput, ServerChange
from backstay.contracts.decision import ProposedCall
from backstay.contracts.history import RunRef
from backstay.contracts.policy import AuthorizeInput
from backstay.errors import HeldError, NothingDoneError
from backstay.kernel.control import Stage
from backstay.kernel.scope import Subject
from backstay.kernel.verdict import Code, Outcome, Verdict
from backstay.ports import BreakerReports, Control, Secrets, Tool
from backstay.tools import ToolCall

from .alarm import CallAlarm
from .conversation import Conversations
from .review import Reviewer


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """A call that fits its tool, ready to be executed.

    Attributes:
        arguments: as the model wrote them, in JSON.
        values: the arguments in the tool's own types.
        alarm: takes an alarm that the tool raises.
        begun: how many attempts had begun before a stop held the call.
        costs: gains every cost that the tool reports, in micro-dollars.
        servers: gains every word that the server of an MCP tool is another one than when it was pinned.
    """

    tool: Tool
    arguments: Mapping[str, Any]
    values: Mapping[str, Any]
    call: ToolCall
    alarm: CallAlarm
    begun: int = 0
    costs: list[int] = field(default_factory=list[int])
    servers: list[ServerChange] = field(default_factory=list[ServerChange])

    @property
    def attempt(self) -> int:
        """The number of this attempt at the call."""
        return self.begun + activity.info().attempt


@dataclass(frozen=True, slots=True)
class Preparer:
    """Prepares the calls of runs."""

    conversations: Conversations
    reviewer: Reviewer
    secrets: Secrets
    control: Control
    reports: BreakerReports

    async def opening(self, run: RunRef) -> Opening:
        """Reads who asked for what, and what was admitted."""
        return await self.conversations.opening(run)

    async def prepare(self, run: RunRef, given: ActInput, *, asks: bool = False) -> tuple[Verdict, PreparedCall | None]:
        """Reviews a call again; returns the verdict as of now, and the call where it fits its tool.

        Args:
            run: the run.
            given: the call.
            asks: the tool is only asked what became of the call.

        Raises:
            HistoryError: the history does not hold the call.
            HeldError: the control plane holds the call.
            UnservedError: this worker does not serve the agent, or not the tool as it was admitted.
        """
        opening = await self.opening(run)
        proposed = await self._proposed(run, given)
        asked = _authorize_input(opening, given, proposed)
        self.reviewer.check_served(asked, asked.calls)
        # Rules that have come since may read what no verdict recorded.
        traced = self.reviewer.traces(asked, [proposed])
        before = await self.conversations.before(run, given.step, given.decision) if traced else None
        review = functools.partial(self.reviewer.review, asked, before=before)
        [reviewed] = await self.reviewer.in_time(asked, [proposed], review)
        verdict, fitting = reviewed.verdict, reviewed.fitting
        if verdict.digest != given.digest or given.run_key != opening.run_key:
            verdict = _another(verdict)
        if verdict.allowed and dict(verdict.exposure) != given.exposure:
            verdict = _another(verdict, "the call does not mean what was held for it")
        if fitting is None:
            return verdict, None
        if verdict.allowed:
            self._check_stops(opening, fitting.tool.spec, asks=asks)
        costs: list[int] = []
        servers: list[ServerChange] = []
        alarm = CallAlarm(opening, fitting.tool.spec.name, self.secrets, self.reports)
        call = ToolCall(
            run_id=opening.run_id,
            step=given.step,
            call_id=given.call_id,
            idempotency_key=given.key or given.own_key,
            agent=opening.agent,
            tenant=opening.tenant,
            metadata=opening.metadata,
            read_secret=self.secrets.reader(fitting.tool.spec.name, fitting.tool.secrets),
            take_cost=costs.append,
            take_alarm=alarm.take,
            replies=given.replies,
            take_server=lambda was, now: servers.append(ServerChange(was=was, now=now)),
        )
        prepared = PreparedCall(
            fitting.tool, fitting.arguments, fitting.values, call, alarm, given.begun, costs, servers
        )
        return verdict, prepared

    def _check_stops(self, opening: Opening, tool: ToolSpec, *, asks: bool) -> None:
        stage = Stage.READS if asks or tool.effect == "read" else Stage.WRITES
        subject = Subject(opening.run_id, opening.agent, opening.tenant, tool=tool.name)
        if held := self.control.holds(stage, subject):
            raise HeldError(held.why)

    async def _proposed(self, run: RunRef, given: ActInput) -> ProposedCall:
        if given.arguments is not None:
            return ProposedCall(call_id=given.call_id, tool=given.tool, arguments=given.arguments)
        return await self.conversations.call(run, given)


def nothing_done(error: NothingDoneError) -> ApplicationError:
    """Returns the failure of an activity that did nothing: its worker does not serve its call, or a stop holds it.

    A stop may outlast all attempts of the engine: what it holds waits in the run, which gives the attempts back.

    INVARIANT: where an earlier attempt may have done something, the failure is not final, or its detail says how many.
    """
    begun = activity.info().attempt - 1
    final = not begun or isinstance(error, HeldError)
    # No fault of anybody: a log full of them would hide one.
    benign = ApplicationErrorCategory.BENIGN
    details = (begun,) if begun else ()
    return ApplicationError(str(error), *details, type=error.code, non_retryable=final, category=benign)


def attempt_at(given: ActInput) -> int:
    """Returns the number of this attempt at a call, with those of activities that a stop has ended."""
    return given.begun + activity.info().attempt


def this_run() -> RunRef:
    """Returns the run that the current activity belongs to."""
    info = activity.info()
    return RunRef(info.workflow_id or "", info.workflow_run_id or "")


def _now(given: ActInput) -> int:
    """Returns the time at which a call is judged; a standing grant must hold when the call is begun for the first time.

    A further attempt belongs to a call that may have happened: its grant held when it was begun.
    """
    if given.consent.use is None or attempt_at(given) > 1:
        return given.now
    return max(given.now, int(activity.info().started_time.timestamp()))


def _another(verdict: Verdict, message: str = "the call is not the one that was authorised") -> Verdict:
    """Refuses a call that is not the one authorised, without the digest that would fit: who made one up learns none."""
    if verdict.outcome is Outcome.DENY:
        return replace(verdict, digest="")
    return Verdict(Outcome.DENY, Code.POLICY_ERROR, "", verdict.policy_version, message=message)


def _authorize_input(opening: Opening, given: ActInput, call: ProposedCall) -> AuthorizeInput:
    """Asks the question of `authorize` again, with the run's facts and the consent of now."""
    admitted = opening.admission.tool(given.tool)
    return AuthorizeInput(
        run_id=opening.run_id,
        run_key=given.run_key,
        agent=opening.agent,
        tenant=opening.tenant,
        requested_by=opening.requested_by,
        goal=opening.goal if opening.asked is None else opening.asked,
        facts=given.facts,
        now=_now(given),
        calls=[call],
        consents={given.call_id: given.consent},
        tools={given.tool: admitted.digest} if admitted else {},
        any_tool=given.any_tool,
        version=opening.admission.agent_version,
        counted={given.call_id: given.counted},
        decision=given.decision,
        above=opening.above,
        origins={given.call_id: given.origins} if given.origins else {},
    )
