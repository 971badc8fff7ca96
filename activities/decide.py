"""Asks the model for one decision, and counts exactly what the attempts may have cost."""

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
from backstay.kernel import keys
from backstay.ports import Models
from backstay.telemetry import activities as spans

from .conversation import Conversations
from .heartbeat import beating, cancelled_by_the_run


class Decide:
    """The activity `decide`."""

    def __init__(self, conversations: Conversations, models: Models) -> None:
        self._conversations = conversations
        self._models = models

    @activity.defn(name=names.DECIDE)
    async def decide(self, given: DecideInput) -> DecideResult:
        """Returns the model's decision, unchecked.

        An attempt counts as billed unless a heartbeat or its typed failure proves otherwise.

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
            except Exception as error:
                if bill.sent:
                    raise
                bill.prove_unbilled()
                raise bill.failure(f"failed before anything was sent: {type(error).__name__}", "Unsent") from error

    async def _ask(self, given: DecideInput, bill: "_Bill") -> DecideResult:
        info = activity.info()
        run = RunRef(info.workflow_id or "", info.workflow_run_id or "")
        opening = await self._conversations.opening(run)
        conversation = await self._conversations.conversation(run, given)
        request = ModelRequest(
            model=opening.admission.model,
            instructions=opening.admission.instructions,
            tools=tuple(opening.admission.tools),
            conversation=tuple(conversation),
            max_output_tokens=given.max_output_tokens,
            idempotency_key=keys.decision_key(given.run_key, given.step),
        )
        bill.sent = 1
        with spans.chat(opening, request, given.step) as answered:
            reply: ModelReply = await self._models.reply(
                opening.agent, request, lambda index: keys.call_id(given.step, index)
            )
            answered(reply)
        self._conversations.decided(run, given, conversation, reply.decision)
        return DecideResult(
            decision=reply.decision,
            usage=reply.usage,
            lost_attempts=bill.lost,
            model=reply.model,
            price=reply.price,
        )


class _Bill:
    """The possible cost of the attempts at one decision; `unbilled` lists those that certainly cost nothing."""

    def __init__(self, attempt: int, unbilled: list[int]) -> None:
        self.attempt = attempt
        self.unbilled = [earlier for earlier in unbilled if earlier < attempt]
        self.lost = attempt - 1 - len(self.unbilled)
        self.sent = 0

    @classmethod
    def of_this_attempt(cls) -> "_Bill":
        """Reads from the heartbeats which earlier attempts cost nothing."""
        info = activity.info()
        left: Any = info.heartbeat_details[0] if info.heartbeat_details else []
        return cls(info.attempt, [number for number in left if isinstance(number, int)])

    def prove_unbilled(self) -> None:
        """Records that this attempt cost nothing; a heartbeat sent just before a failure arrives."""
        self.unbilled.append(self.attempt)
        activity.heartbeat(self.unbilled)

    def failure(self, text: str, kind: str, final: bool = False, retry_after: float | None = None) -> ApplicationError:
        """Returns the failure of this attempt, with the possible cost of all attempts."""
        delay = None if retry_after is None else timedelta(seconds=retry_after)
        detail = DecideFailure(lost_attempts=self.lost)
        return ApplicationError(text, detail, type=kind, non_retryable=final, next_retry_delay=delay)
