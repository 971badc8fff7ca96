"""Asks ledgers, in batches: while one update of a ledger is in flight, what else comes for it waits for the next.

Temporal takes ten updates of a workflow at a time and slows down sharply behind them. With one in flight, nine worker
processes share a ledger before that, and hundreds of runs in a process cost it one update.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from temporalio.client import Client

from backstay.contracts import names
from backstay.contracts.ledger import (
    BookAnswer,
    BookRequest,
    HoldAnswer,
    LedgerInput,
    LedgerRef,
    TurnAnswer,
    TurnAsked,
)
from backstay.errors import LedgerUnansweredError
from backstay.kernel.keys import ledger_id
from backstay.kernel.ledger import CLOCK, FULL, Asked, Hold
from backstay.kernel.ledger_period import Span
from backstay.kernel.ledger_queue import Place
from backstay.kernel.ledger_sums import Excess

from .entities import ANSWER, NO_ANSWER, Entity, updated

LARGEST_BATCH = 200
_NOT_READY_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class _Withdrawn:
    """A hold that an attempt gives back, by its id."""

    hold_id: str
    attempt: int


Told = Asked | TurnAsked | _Withdrawn
"""A hold to make, a run that wants to go on, or a hold to give back."""
Answer = HoldAnswer | TurnAnswer | None
Spans = Callable[[], tuple[Span, ...]]
"""Returns the days and months around now."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """Something for a ledger, and who waits for its answer."""

    told: Told
    answer: "asyncio.Future[Answer]"


@dataclass(slots=True)
class _Line:
    """Keeps the entries that wait for one ledger, and the task that sends them."""

    waiting: list[_Entry] = field(default_factory=list[_Entry])
    sending: "asyncio.Task[None] | None" = None


class Ledgers:
    """The ledgers of a namespace, through a Temporal client; `spans` come with every batch."""

    def __init__(self, client: Client, spans: Spans) -> None:
        self._client = client
        self._spans = spans
        self._lines: dict[str, _Line] = {}

    async def hold(self, ledger: LedgerRef, asked: Asked) -> Hold | Excess:
        """Reserves amounts; the same id gets its own hold again.

        Raises:
            LedgerUnansweredError: the ledger does not say whether there is room.
        """
        answer = await self._told(ledger, asked)
        if answer and answer.hold:
            return answer.hold
        if not isinstance(answer, HoldAnswer) or answer.excess is None:
            raise _unanswered(ledger, "gave no answer")
        if answer.excess.name == CLOCK:
            raise _unanswered(ledger, "has another day: this worker's clock is days off")
        if answer.excess.name == FULL:
            raise _unanswered(ledger, "keeps as many holds as it can: there is room once runs have ended")
        return answer.excess

    async def enqueue(self, ledger: LedgerRef, asked: TurnAsked) -> Hold | Place:
        """Lets a run be one of those at once, or has it wait; whoever asks again keeps what it has.

        Raises:
            LedgerUnansweredError: the ledger does not say whether there is room.
        """
        answer = await self._told(ledger, asked)
        if isinstance(answer, TurnAnswer) and (found := answer.hold or answer.place):
            return found
        raise _unanswered(ledger, "gave no answer")

    async def release(self, ledger: LedgerRef, hold_id: str, attempt: int) -> None:
        """Gives back a hold of which nothing was used, unless a later attempt has asked for it.

        Raises:
            LedgerUnansweredError: the ledger did not take it.
        """
        await self._told(ledger, _Withdrawn(hold_id, attempt))

    async def _told(self, ledger: LedgerRef, told: Told) -> Answer:
        line = self._lines.setdefault(ledger_id(ledger.tenant), _Line())
        entry = _Entry(told, asyncio.get_running_loop().create_future())
        line.waiting.append(entry)
        if line.sending is None or line.sending.done():
            line.sending = asyncio.create_task(self._send_all(ledger, line))
        return await entry.answer

    async def _send_all(self, ledger: LedgerRef, line: _Line) -> None:
        """Sends what waits, batch after batch, until nothing does."""
        while line.waiting:
            batch, line.waiting = line.waiting[:LARGEST_BATCH], line.waiting[LARGEST_BATCH:]
            wanted = [entry for entry in batch if not entry.answer.done()]  # the others were cancelled
            try:
                answers = await self._booked(ledger, [entry.told for entry in wanted])
            except LedgerUnansweredError as error:
                for entry in wanted:
                    if not entry.answer.done():
                        entry.answer.set_exception(error)
                continue
            for entry, answer in zip(wanted, answers, strict=True):
                if not entry.answer.done():
                    entry.answer.set_result(answer)

    async def _booked(self, ledger: LedgerRef, told: Sequence[Told]) -> list[Answer]:
        """Sends one batch; returns an answer for each hold and each run in it, and None for everything else.

        Raises:
            LedgerUnansweredError: the ledger does not answer, or not yet.
        """
        request = BookRequest(
            spans=list(self._spans()),
            holds=[one for one in told if isinstance(one, Asked)],
            withdrawn={one.hold_id: one.attempt for one in told if isinstance(one, _Withdrawn)},
            turns=[one for one in told if isinstance(one, TurnAsked)],
        )
        until = asyncio.get_running_loop().time() + ANSWER.total_seconds()
        answer = await self._updated(ledger, request)
        while answer.not_ready and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(_NOT_READY_SECONDS)
            answer = await self._updated(ledger, request)
        if answer.not_ready:
            raise _unanswered(ledger, f"does not answer yet: {answer.not_ready}")
        if (len(answer.holds), len(answer.turns)) != (len(request.holds), len(request.turns)):
            raise _unanswered(ledger, "gave another number of answers than it was asked for")
        holds, turns = iter(answer.holds), iter(answer.turns)
        return [
            next(holds) if isinstance(one, Asked) else next(turns) if isinstance(one, TurnAsked) else None
            for one in told
        ]

    async def _updated(self, ledger: LedgerRef, request: BookRequest) -> BookAnswer:
        given = LedgerInput(ledger=ledger)
        entity = Entity(names.TENANT_LEDGER, ledger_id(ledger.tenant), given, ledger.words)
        try:
            return await updated(self._client, entity, names.BOOK, request, BookAnswer)
        except NO_ANSWER as error:
            raise _unanswered(ledger, "does not answer") from error


def _unanswered(ledger: LedgerRef, what: str) -> LedgerUnansweredError:
    return LedgerUnansweredError(f"{ledger.words} {what}")
