"""Asks the model for one decision, and says exactly what the asking may have cost."""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.conversation import ModelReply, ModelRequest
from backstay.contracts.decision import DecideFailure, DecideInput, DecideResult
from backstay.contracts.history import RunRef
from backstay.errors import HistoryError, ModelError
from backstay.ports import Models
from backstay.telemetry import activities as spans

from .conversation import RunMemory
from .heartbeat import beating, cancelled_by_the_run


class Decide:
    """The activity `decide`."""

    def __init__(self, memory: RunMemory, models: Models) -> None:
        self._memory = memory
        self._models = models

    @activity.defn(name=names.DECIDE)
    async def decide(self, given: DecideInput) -> DecideResult:
        """The model's decision, unchecked.

        An attempt counts as billed unless a heartbeat or its typed failure proves that it was not.

        Raises:
            ApplicationError: of type `ModelError` or `HistoryError`; its detail says how many attempts may be billed.
        """
        bill = _Bill.of_this_attempt()
        if bill.lost >= given.attempts:
            raise bill.failure("no further attempt is covered by the budget", names.ATTEMPTS_UNSEEN, final=True)
        async with beating(bill.unbilled):
            try:
                return await self._ask(given, bill)
            except HistoryError as error:
                bill.prove_unbilled()
                raise bill.failure(str(error), error.code) from error
            except ModelError as error:
                if not error.billed:
                    bill.prove_unbilled()
                else:
                    bill.lost += 1
                if error.retryable and bill.lost >= given.attempts:
                    raise bill.failure(str(error), names.ATTEMPTS_LOST, final=True) from error
                raise bill.failure(str(error), error.code, not error.retryable, error.retry_after) from error
            except asyncio.CancelledError:
                if not cancelled_by_the_run():
                    raise
                return DecideResult(decision=None, lost_attempts=bill.lost + bill.sent)

    async def _ask(self, given: DecideInput, bill: "_Bill") -> DecideResult:
        info = activity.info()
        run = RunRef(info.workflow_id or "", info.workflow_run_id or "")
        opening = await self._memory.opening(run)
        conversation = await self._memory.conversation(run, given)
        request = ModelRequest(
            model=opening.admission.model,
            instructions=opening.admission.instructions,
            tools=tuple(opening.admission.tools),
            conversation=tuple(conversation),
            max_output_tokens=given.max_output_tokens,
            idempotency_key=f"{given.run_key}/{names.decide_id(given.step)}",
        )
        bill.sent = 1
        with spans.chat(opening, request, given.step) as answered:
            reply: ModelReply = await self._models.reply(
                opening.agent, request, lambda index: names.call_id(given.step, index)
            )
            answered(reply)
        self._memory.decided(run, given, conversation, reply.decision)
        return DecideResult(decision=reply.decision, usage=reply.usage, lost_attempts=bill.lost, model=reply.model)


class _Bill:
    """What the attempts at one decision may have cost; `unbilled` lists those that certainly cost nothing."""

    def __init__(self, attempt: int, unbilled: list[int]) -> None:
        self.attempt = attempt
        self.unbilled = [earlier for earlier in unbilled if earlier < attempt]
        self.lost = attempt - 1 - len(self.unbilled)
        self.sent = 0

    @classmethod
    def of_this_attempt(cls) -> "_Bill":
        """Reads what earlier attempts left in their heartbeats."""
        info = activity.info()
        left: Any = info.heartbeat_details[0] if info.heartbeat_details else []
        return cls(info.attempt, [number for number in left if isinstance(number, int)])

    def prove_unbilled(self) -> None:
        """Leaves word that this attempt cost nothing; sent just before a failure, a heartbeat arrives."""
        self.unbilled.append(self.attempt)
        activity.heartbeat(self.unbilled)

    def failure(self, text: str, kind: str, final: bool = False, retry_after: float | None = None) -> ApplicationError:
        """The failure of this attempt, with what all of them may have cost."""
        delay = None if retry_after is None else timedelta(seconds=retry_after)
        detail = DecideFailure(lost_attempts=self.lost)
        return ApplicationError(text, detail, type=kind, non_retryable=final, next_retry_delay=delay)
