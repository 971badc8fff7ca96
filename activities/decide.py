"""Asks the model for one decision, and counts exactly what the attempts may have cost."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.admission import Opening, ToolSpec
from backstay.contracts.compact import CompactInput
from backstay.contracts.conversation import ModelReply, ModelRequest
from backstay.contracts.decision import BilledUsage, DecideInput, DecideResult, Decision, LostAttempts, ProposedCall
from backstay.contracts.history import RunRef
from backstay.contracts.trouble import ModelTrouble, is_told
from backstay.errors import ForeignRunError, HeldError, HistoryError, ModelError, NothingDoneError, UnservedError
from backstay.kernel import keys
from backstay.kernel.arguments import Unreadable, has_whole_float
from backstay.kernel.control import Stage
from backstay.kernel.markup import spells_call
from backstay.kernel.reply import WRITTEN
from backstay.kernel.scope import Subject
from backstay.ports import Alarms, Control, Models, Quotas, Turns
from backstay.telemetry import activities as spans

from .conversation import Conversations
from .heartbeat import beating, cancelled_by_the_run
from .verdicts import EarlyJudge

R = TypeVar("R")
_OF_ANOTHER_QUEUE = "of another task queue"


@dataclass(frozen=True, slots=True)
class Asking:
    """Holds the sources of a decision: conversations of runs, the models that are asked, and what holds them back.

    `judge` judges its calls at once; None where another worker has to.
    """

    conversations: Conversations
    models: Models
    control: Control
    judge: EarlyJudge | None = None


@dataclass(frozen=True, slots=True)
class Queued:
    """Tells of decisions that come over the queue of an account, where they may have waited long for their turn.

    Attributes:
        account: the account.
        quotas: whom to tell where the provider refuses a call because of the account's rate.
        turns: spaces the calls out that the queue lets through together.
        others: the runs of other task queues that share the account, and its model.
    """

    account: str
    quotas: Quotas
    turns: Turns
    others: Asking


class Decide:
    """The activity `decide`, on the queue of runs, or on that of an account."""

    def __init__(self, asking: Asking, alarms: Alarms, queued: Queued | None = None) -> None:
        self._asking = asking
        self._alarms = alarms
        self._queued = queued

    @activity.defn(name=names.DECIDE)
    async def decide(self, given: DecideInput) -> DecideResult:
        """Returns the model's decision, unchecked.

        An attempt counts as billed unless a heartbeat or its typed failure proves otherwise.

        Raises:
            ApplicationError: of type `ModelError`, `HistoryError`, `Held` or `Unserved`; its detail says how many
                attempts may be billed.
        """
        return await self.billed(
            given,
            lambda bill: self._ask(given, bill),
            lambda bill: DecideResult(decision=None, lost_attempts=bill.lost + bill.sent, bills=bill.bills),
        )

    async def billed(
        self,
        given: DecideInput | CompactInput,
        ask: "Callable[[Bill], Awaitable[R]]",
        cancelled: "Callable[[Bill], R]",
    ) -> R:
        """Asks the model in one attempt, and tells exactly what all attempts may have cost, however this one ends.

        Args:
            given: the input of the activity.
            ask: asks; it says on the bill when the request is sent.
            cancelled: makes the result of an attempt that the run itself cancelled.

        Raises:
            ApplicationError: as `decide` says.
        """
        bill = Bill.of_this_attempt()
        if bill.lost >= given.attempts:
            raise bill.failure("no further attempt is covered by the budget", names.ATTEMPTS_UNSEEN, final=True)
        if self._queued is not None:
            bill.count_from_its_turn()
        async with beating(*bill.told):
            try:
                return await ask(bill)
            except HistoryError as error:
                bill.prove_unbilled()
                raise bill.failure(str(error), error.code, final=bill.overdue()) from error
            except NothingDoneError as error:
                bill.prove_unbilled()
                if bill.lost and isinstance(error, HeldError):
                    # The stop may outlast the patience of the engine: the run pays for them, and decides again after.
                    raise bill.failure(str(error), names.ATTEMPTS_UNSEEN, final=True) from None
                # Final, so that the run waits in its own sight; with attempts to pay for the engine tries again.
                raise bill.failure(str(error), error.code, final=not bill.lost) from None
            except ModelError as error:
                if not error.billed:
                    bill.prove_unbilled()
                else:
                    bill.lose(error.bill)
                if error.retryable and bill.lost >= given.attempts:
                    raise bill.failure(str(error), names.ATTEMPTS_LOST, final=True) from error
                self._tell_quota(error)
                final = not error.retryable or bill.overdue(error.retry_after)
                if not final and is_told(bill.attempt):
                    self._tell(given.step, bill, error)
                kind = names.TOO_LONG if error.kind == "too_long" else error.code
                raise bill.failure(str(error), kind, final, error.retry_after) from error
            except asyncio.CancelledError:
                if not cancelled_by_the_run():
                    raise
                return cancelled(bill)
            except Exception as error:
                if bill.sent:
                    raise
                bill.prove_unbilled()
                raise bill.failure(f"failed before anything was sent: {type(error).__name__}", "Unsent") from error

    def _tell_quota(self, error: ModelError) -> None:
        """Tells the account's workflow of a call that was refused because of the account's rate."""
        if self._queued is not None and error.kind == "rate_limited":
            self._queued.quotas.throttled(self._queued.account, error.retry_after)

    def _tell(self, step: int, bill: "Bill", error: ModelError) -> None:
        """Tells the run that the engine tries again, which the run cannot see itself."""
        info = activity.info()
        gives_up_at = bill.gives_up_at or info.scheduled_time + (info.schedule_to_close_timeout or timedelta(0))
        facts = {
            "step": step,
            "attempt": bill.attempt,
            "kind": error.kind,
            "gives_up_at": int(gives_up_at.timestamp()),
            "account": self._queued.account if self._queued is not None else None,
        }
        run = RunRef(info.workflow_id or "", info.workflow_run_id or "")
        self._alarms.model_fails(run, ModelTrouble.model_validate(facts))

    async def opened(self, run: RunRef) -> tuple[Asking, Opening]:
        """Reads who asked for what, and returns where the decision comes from.

        The queue of an account brings runs of other task queues too. INVARIANT: only those that this worker was told of
        are answered, and only where they were admitted with the account; all others are left to their own workers.
        """
        try:
            return self._asking, await self._asking.conversations.opening(run)
        except ApplicationError as error:
            if self._queued is None or error.type != ForeignRunError.code:
                raise
        try:
            others = self._queued.others
            opening = await others.conversations.opening(run)
        except ApplicationError as error:
            if error.type != ForeignRunError.code:
                raise
            raise UnservedError(_OF_ANOTHER_QUEUE) from error
        if opening.admission.model.account != self._queued.account:
            raise UnservedError(opening.agent)
        return others, opening

    async def _ask(self, given: DecideInput, bill: "Bill") -> DecideResult:
        info = activity.info()
        run = RunRef(info.workflow_id or "", info.workflow_run_id or "")
        asking, opening = await self.opened(run)
        bill.allow(opening)
        conversation = await asking.conversations.conversation(run, given)
        request = ModelRequest(
            model=opening.admission.model.named(given.model),
            instructions=opening.admission.instructions,
            tools=tuple(opening.admission.tools),
            conversation=conversation.items,
            max_output_tokens=given.max_output_tokens,
            idempotency_key=keys.decision_key(opening.run_key, given.step),
            offers=not given.last,
            settled=conversation.settled,
            written=conversation.written,
        )
        reply = await self.reply((asking, opening), request, given.step, bill)
        decision = _read(reply.decision, opening.admission.tools)
        if _ends(decision) or given.last:
            asking.conversations.answered(run)
        else:
            asking.conversations.decided(run, given, conversation, decision)
        return DecideResult(
            decision=decision,
            usage=reply.usage,
            lost_attempts=bill.lost,
            bills=bill.bills,
            model=reply.model,
            price=reply.price,
            judged=asking.judge.verdicts(opening, given, decision, reply) if asking.judge and not bill.lost else None,
        )

    async def reply(self, source: tuple[Asking, Opening], request: ModelRequest, step: int, bill: "Bill") -> ModelReply:
        """Sends a request when it has its turn and nothing holds it, and says on the bill that it was sent."""
        asking, opening = source
        if self._queued is not None:
            await self._queued.turns.take(self._queued.account)
        subject = Subject(opening.run_id, opening.agent, opening.tenant, model=request.model.name)
        if held := asking.control.holds(Stage.MODELS, subject):
            raise HeldError(held.why)
        bill.sent = 1
        with spans.chat(opening, request, step) as answered:
            reply: ModelReply = await asking.models.reply(
                opening.agent, request, lambda index: keys.call_id(step, index)
            )
            answered(reply)
        return reply


def _read(decision: Decision, tools: Sequence[ToolSpec]) -> Decision:
    """Reads what must be read the same for ever, because the history records it: calls as text, and whole numbers."""
    calls = [call.model_copy(update={"whole": True}) if _has_point(call) else call for call in decision.calls]
    problem = decision.problem
    parameters = {tool.shown_as: list(tool.parameters.get("properties", {})) for tool in tools}
    if problem is None and not calls and decision.text and spells_call(decision.text, parameters, parameters):
        problem = WRITTEN
    return decision.model_copy(update={"calls": calls, "problem": problem})


def _ends(decision: Decision) -> bool:
    """Tells whether a run asks nothing after a decision, because it is an answer; one that asks reads its history."""
    usable = decision.finish == "stop" and decision.problem is None
    return usable and not decision.calls and bool((decision.text or "").strip())


def _has_point(call: ProposedCall) -> bool:
    return not isinstance(call.parsed, Unreadable) and has_whole_float(call.parsed)


class Bill:
    """The possible cost of the attempts at one decision.

    Attributes:
        unbilled: the numbers of the attempts that certainly cost nothing.
        stated: the bills that came for attempts which were lost.
        began: when the first attempt had its turn, where turns are waited for; None elsewhere.
        patience: for how long attempts are repeated then; None until it is known.
    """

    def __init__(self, attempt: int, unbilled: list[int], bills: list[dict[str, Any]]) -> None:
        self.attempt = attempt
        self.unbilled = [earlier for earlier in unbilled if earlier < attempt]
        self.stated = bills
        self.lost = attempt - 1 - len(self.unbilled)
        self.sent = 0
        self.began: datetime | None = None
        self.patience: timedelta | None = None

    @classmethod
    def of_this_attempt(cls) -> "Bill":
        """Reads from the heartbeats what earlier attempts cost."""
        info = activity.info()
        left: list[Any] = [*info.heartbeat_details, [], []]
        return cls(info.attempt, [number for number in left[0] if isinstance(number, int)], list(left[1]))

    def allow(self, opening: Opening) -> None:
        """Takes down for how long attempts are repeated."""
        self.patience = timedelta(seconds=opening.admission.model.give_up_after)

    @property
    def bills(self) -> list[BilledUsage]:
        """The bills of lost attempts."""
        return [BilledUsage.model_validate(bill) for bill in self.stated]

    def count_from_its_turn(self) -> None:
        """Counts patience from the start of the first attempt, as the heartbeats tell it: its wait was no failure."""
        info = activity.info()
        told: Any = info.heartbeat_details[2] if len(info.heartbeat_details) > 2 else None
        at = info.started_time.timestamp()
        self.began = datetime.fromtimestamp(told if isinstance(told, int) and 0 <= told <= at else at, UTC)

    @property
    def told(self) -> tuple[Any, ...]:
        """The details of a heartbeat, for the next attempt."""
        began = () if self.began is None else (int(self.began.timestamp()),)
        return (self.unbilled, self.stated, *began)

    @property
    def gives_up_at(self) -> datetime | None:
        """The moment after which no attempt is made; None where the engine watches over that."""
        return None if self.began is None or self.patience is None else self.began + self.patience

    def overdue(self, wait: float | None = None) -> bool:
        """Tells whether there is no time for another attempt, after a wait of seconds."""
        limit = self.gives_up_at
        return limit is not None and datetime.now(UTC) + timedelta(seconds=wait or 0) >= limit

    def prove_unbilled(self) -> None:
        """Records that this attempt cost nothing; a heartbeat sent just before a failure arrives."""
        self.unbilled.append(self.attempt)
        activity.heartbeat(*self.told)

    def lose(self, bill: BilledUsage | None) -> None:
        """Counts that this attempt may have been billed, and what for, where the provider said it."""
        self.lost += 1
        if bill is not None:
            self.stated.append(bill.model_dump())
        if bill is not None or self.began is not None:
            activity.heartbeat(*self.told)

    def failure(self, text: str, kind: str, final: bool = False, retry_after: float | None = None) -> ApplicationError:
        """Returns the failure of this attempt, with the possible cost of all attempts."""
        delay = None if retry_after is None else timedelta(seconds=retry_after)
        detail = LostAttempts(lost_attempts=self.lost, bills=self.bills)
        return ApplicationError(text, detail, type=kind, non_retryable=final, next_retry_delay=delay)
