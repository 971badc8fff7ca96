"""TenantLedger: what the runs of a tenant, or of the whole organisation, hold and have spent by day and month.

A tenant's ledger does not know what other tenants spend. So the organisation has a ledger of its own, and a run that is
limited by both holds in both: first in its tenant's, which refuses what only its tenant used up; then in the
organisation's. Where that refuses, the first hold is released again. In between a tenant may seem to hold more than it
does, and never less.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.ledger import (
    BookAnswer,
    BookRequest,
    Closing,
    HoldAnswer,
    LedgerInput,
    LedgerRef,
    LedgerView,
    Releasing,
    RestoreInput,
    RestoreResult,
    SweepInput,
    SweepResult,
    TurnAnswer,
    TurnAsked,
)
from backstay.contracts.messages import read_message
from backstay.contracts.problems import Problem
from backstay.contracts.run import plain
from backstay.kernel.history import nearly_full
from backstay.kernel.ledger import Books, Hold, Holder
from backstay.kernel.ledger_period import Span, milliseconds
from backstay.kernel.ledger_queue import joined, place
from backstay.kernel.ledger_sums import RUNS, Excess, Limit
from backstay.kernel.markdown import inert

from . import options
from .entity import done, failing
from .messages import fitting, invalid_input, repetitions
from .waiting_runs import WaitingRuns

MESSAGES_PER_LINK = 1_000
"""The messages after which the ledger continues as new; Temporal accepts about 2,000 updates in one link of a chain."""
SWEEP_EVERY = timedelta(seconds=60)
SWEEP_AFTER_MS = 120_000
"""The age of a hold at which somebody asks what became of its run."""
SWEPT_IN_TIME = "a ledger that is never quiet looks for the runs of old holds too"
PUBLISH_EVERY = timedelta(seconds=2)
_BOOK = "Holds amounts and tells what became of earlier holds. Sent by the runtime."
_RELEASED = "Gives holds back of which nothing was used. Sent by the runtime."
_CLOSED = "Tells that a run has ended, and what it spent. Sent by the runtime."
_SWEPT = 500


@workflow.defn(name=names.TENANT_LEDGER)
class TenantLedger:
    """A workflow that says yes to a hold only where all limits that it brings have room for it."""

    @workflow.init
    def __init__(self, *args: Any) -> None:
        # Cron and retries have a run before them too; books are believed from continue-as-new alone.
        given = repetitions() or LedgerInput.read(args, continued=workflow.info().continued_run_id is not None)
        self._problems: list[Problem] = given if isinstance(given, list) else []
        self._given = None if isinstance(given, list) else given
        self._books: Books | None = None if isinstance(given, list) else given.books
        self._limits: dict[str, Limit] = {} if isinstance(given, list) else dict(given.limits)
        self._spans: list[Span] = [] if isinstance(given, list) else given.spans
        """The days and months that the last batch brought."""
        self._early: list[Closing | Releasing] = []
        """The messages of runs from before the books were whole."""
        self._swept_ms = self._books.swept_ms if self._books else 0
        """The time at which the runs of old holds were last looked for, in this link or an earlier one."""
        self._messages = 0
        self._told: Books | None = self._books
        ledger = LedgerRef() if isinstance(given, list) else given.ledger
        self._waiting = WaitingRuns(ledger, lambda: self._books, self._keep_books)

    @workflow.run
    async def run(self, *args: Any) -> None:
        """Keeps the books for ever, in one link after the other; never returns."""
        if self._given is None:
            raise invalid_input(self._problems)
        # One that failed is started again by whoever needs it, with books from the histories of runs.
        with failing("the ledger"):
            await self._keep(self._given)

    async def _keep(self, given: LedgerInput) -> None:
        if self._books is None:
            self._publish(given, Books(given.ledger.level))
            how: ActivityConfig = {**options.RESTORE, "summary": inert(given.ledger.words)}
            self._books = (await done(names.RESTORE, RestoreInput(ledger=given.ledger), RestoreResult, how)).books
            # While the histories were read runs may have ended, or given something back, that had not in them.
            for told in self._early:
                self._take(told)
        waiting = asyncio.create_task(self._waiting.serve())
        while not self._full():
            await self._one_turn(given)
            if waiting.done():
                await waiting  # it never ends but by an error
        await workflow.wait_condition(lambda: workflow.all_handlers_finished() and self._waiting.idle)
        waiting.cancel()
        books = replace(self._forgotten(self._books), swept_ms=self._swept_ms)
        carried = given.model_copy(update={"books": books, "limits": self._limits, "spans": self._spans})
        workflow.continue_as_new(plain(carried), memo={names.BOOKS: plain(self._view(given, books))})

    async def _one_turn(self, given: LedgerInput) -> None:
        """Shows what has changed, then waits for more; meanwhile holds that are old are looked after."""
        if self._books is not self._told and self._books is not None:
            self._told = self._books = self._forgotten(self._books)
            self._publish(given, self._books)
            await workflow.sleep(PUBLISH_EVERY, summary="before the books are shown again")
        try:
            await workflow.wait_condition(
                lambda: self._full() or self._books is not self._told,
                timeout=SWEEP_EVERY if self._books and self._books.holds else None,
                timeout_summary="before the runs of old holds are looked for",
            )
        except TimeoutError:
            await self._sweep()
        else:
            # In a busy ledger the wait never ends by its timeout, and what a lost run holds is needed there most.
            if not self._full() and self._is_sweep_due() and workflow.patched(SWEPT_IN_TIME):
                await self._sweep()

    def _is_sweep_due(self) -> bool:
        return timedelta(milliseconds=milliseconds(workflow.now()) - self._swept_ms) >= SWEEP_EVERY

    async def _sweep(self) -> None:
        """Settles what runs hold that have closed and said nothing; what nobody knows of stays held."""
        books, now_ms = self._books or Books(""), milliseconds(workflow.now())
        self._swept_ms = now_ms
        known = {hold.holder.key: hold.holder for hold in books.holds.values() if hold.at_ms + SWEEP_AFTER_MS <= now_ms}
        old = list(known.values())
        for first in range(0, len(old), _SWEPT):
            part = old[first : first + _SWEPT]
            how: ActivityConfig = {**options.SWEEP, "summary": f"{len(part)} runs with old holds"}
            try:
                found = await done(names.SWEEP, SweepInput(holders=part), SweepResult, how)
            except ActivityError:
                return  # they stay held, and are looked for again in a minute
            # Updates may have changed the books while the runs were looked for: settle in those of now.
            for closing in found.closings:
                self._take(closing)

    @workflow.update(name=names.BOOK, description=_BOOK)
    async def book(self, *args: Any) -> dict[str, Any]:
        """Takes one batch into the books, whole and at once: nothing is awaited, so that no update stays in flight."""
        request = fitting(BookRequest, args)
        self._messages += 1
        return plain(self._booked(request))

    @book.validator
    def _book_fits(self, *args: Any) -> None:
        if self._given is None:
            raise invalid_input(self._problems)
        fitting(BookRequest, args)

    @workflow.signal(name=names.CLOSED, description=_CLOSED)
    def closed(self, *args: Any) -> None:
        """Settles what a run holds that has ended, as soon as the books are whole."""
        closing = read_message(Closing, args)
        self._messages += 1
        if not isinstance(closing, list):
            self._take(closing)

    @workflow.signal(name=names.RELEASED, description=_RELEASED)
    def released(self, *args: Any) -> None:
        """Gives holds back of calls that did not happen, as soon as the books are whole."""
        releasing = read_message(Releasing, args)
        self._messages += 1
        if not isinstance(releasing, list):
            self._take(releasing)

    def _take(self, told: Closing | Releasing) -> None:
        """Takes what a run told into the books, or remembers it until they are whole."""
        if self._books is None:
            self._early.append(told)
        elif isinstance(told, Closing):
            self._books = self._books.close(told.holder, told.spent, self._spans, milliseconds(workflow.now()))
        else:
            for hold_id in told.holds:
                self._books = self._books.release(hold_id)
        self._waiting.let_in()

    def _keep_books(self, books: Books) -> None:
        self._books = books

    @workflow.query(name=names.BOOKS, description="The books as they are now, without the holds one by one.")
    def books(self, *args: Any) -> dict[str, Any]:
        """Returns a `LedgerView`."""
        if self._given is None:
            raise invalid_input(self._problems)
        return plain(self._view(self._given, self._books or Books(self._given.ledger.level)))

    def _booked(self, request: BookRequest) -> BookAnswer:
        books, now_ms = self._books, milliseconds(workflow.now())
        self._spans = request.spans
        if books is None:
            return BookAnswer(not_ready="its books are being read from the histories of runs")
        for hold_id, spent in request.settled.items():
            books = books.settle(hold_id, spent)
        for hold_id in request.released:
            books = books.release(hold_id)
        for hold_id, attempt in request.withdrawn.items():
            books = books.release(hold_id, attempt)
        answers: list[HoldAnswer] = []
        for asked in request.holds:
            books, answer = books.hold(asked, request.spans, now_ms)
            answers.append(
                HoldAnswer(
                    hold=answer if isinstance(answer, Hold) else None,
                    excess=answer if isinstance(answer, Excess) else None,
                )
            )
            self._show_limits(asked.holder, asked.amounts, asked.limits)
        self._books = books
        return BookAnswer(holds=answers, turns=self._turns(books, request.turns))

    def _turns(self, books: Books, asked: Sequence[TurnAsked]) -> list[TurnAnswer]:
        """Takes up runs that want to go on, and lets in whoever there is room for."""
        for one in asked:
            books = joined(books, one.waiter, one.limits)
            self._show_limits(one.waiter.holder, (RUNS,), one.limits)
        self._books = books
        self._waiting.let_in()
        after = self._books
        held = [after.holds.get(one.waiter.id) for one in asked]
        return [
            TurnAnswer(hold=hold, place=None if hold else place(after, one.waiter))
            for one, hold in zip(asked, held, strict=True)
        ]

    def _show_limits(self, holder: Holder, quantities: Collection[str], limits: Sequence[Limit]) -> None:
        """Shows the limits that a hold brings in place of the earlier ones: one that it lacks was taken away."""
        accounts = self._accounts(holder, quantities)
        kept = {
            name: limit
            for name, limit in self._limits.items()
            if limit.account not in accounts or limit.quantity not in quantities
        }
        loosest_first = sorted(limits, key=lambda limit: -limit.most)
        self._limits = kept | {f"{limit.account} {limit.name}": limit for limit in loosest_first}

    def _accounts(self, holder: Holder, quantities: Collection[str]) -> tuple[str, ...]:
        return () if self._given is None else Books(self._given.ledger.level).accounts(holder, quantities)

    def _forgotten(self, books: Books) -> Books:
        return books.forgetting(milliseconds(workflow.now()))

    def _full(self) -> bool:
        info = workflow.info()
        full = nearly_full(info.get_current_history_size(), info.get_current_history_length())
        return self._books is not None and (self._messages >= MESSAGES_PER_LINK or full)

    def _publish(self, given: LedgerInput, books: Books) -> None:
        """Writes the books where they can be read while no worker serves the ledger."""
        workflow.upsert_memo({names.BOOKS: plain(self._view(given, books))})

    def _view(self, given: LedgerInput, books: Books) -> LedgerView:
        shown = Books(books.level, books.sums, {}, {}, books.ends, books.warned, books.top)
        return LedgerView(
            ledger=given.ledger,
            ready=self._books is not None,
            books=shown,
            limits=list(self._limits.values()),
            spans=self._spans,
            waiting=len(books.waiting),
            open_holds=sum(not hold.happened for hold in books.holds.values()),
            at_ms=milliseconds(workflow.now()),
        )
