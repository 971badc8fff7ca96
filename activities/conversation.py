"""Keeps the conversations of runs in memory, and rebuilds from the history what is missing.

INVARIANT: only what the history records is used. A worker trusts a reply or a result of its own only once the next
input repeats its digest, because another attempt may have won.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from temporalio.exceptions import ApplicationError

from backstay.contracts.admission import Opening
from backstay.contracts.call import ActInput
from backstay.contracts.conversation import Decided, Item, Observed, Said
from backstay.contracts.decision import DecideInput, Decision, ProposedCall
from backstay.contracts.history import Recorded, RunRef
from backstay.errors import ForeignRunError, HistoryError
from backstay.kernel.keys import short_digest
from backstay.ports import History

from .past import Before, RunPast, past_of
from .weight import weight

READ_AT_ONCE = 20
"""The most results that the review of a call reads by itself."""


@dataclass(slots=True)
class _Conversation:
    """The conversation of one run: `items` end with the decision of `step`; `weight` is its bytes of memory.

    `past` has what the results said, where somebody asks where values come from.
    """

    opening: Opening
    items: list[Item]
    weight: int
    counted: int = 0
    step: int = 0
    results: dict[str, str] = field(default_factory=dict[str, str])
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    past: RunPast | None = None

    @classmethod
    def begun(cls, opening: Opening) -> "_Conversation":
        """Returns a conversation that holds the goal alone."""
        goal: list[Item] = [Said(opening.goal)]
        return cls(opening, goal, weight(opening) + _total(goal))

    @property
    def last(self) -> Decision | None:
        """The last decision that is remembered; None before the first."""
        return next((item.decision for item in reversed(self.items) if isinstance(item, Decided)), None)

    def decided(self, step: int, new: list[Item], decision: Decision) -> None:
        """Adds what was new to a decision, and the decision."""
        self._drop_results()
        told = [*new, Decided(decision)]
        self.weight += _total(told)
        self.items += told
        self.step = step

    def acted(self, call_id: str, text: str) -> None:
        """Adds a result that no decision was told yet."""
        self.weight += weight(text) - weight(self.results.get(call_id, ""))
        self.results[call_id] = text

    def forget(self) -> None:
        """Forgets all but the goal; the history has the rest."""
        self._drop_results()
        self.weight -= _total(self.items[1:])
        self.items, self.step = self.items[:1], 0

    def _drop_results(self) -> None:
        self.weight -= _total(self.results.values())
        self.results.clear()


class Conversations:
    """The conversations of the runs that a worker works on; holds `capacity` bytes at most, with 0 none."""

    def __init__(self, history: History, capacity: int) -> None:
        self._history = history
        self._capacity = capacity
        self._held = 0
        self._runs: OrderedDict[RunRef, _Conversation] = OrderedDict()
        self._pasts: OrderedDict[RunRef, _Conversation] = OrderedDict()

    async def opening(self, run: RunRef) -> Opening:
        """Reads who asked for what, and what was admitted."""
        return (await self._of(run)).opening

    async def conversation(self, run: RunRef, given: DecideInput) -> list[Item]:
        """Returns the whole conversation that a decision is asked with.

        Raises:
            HistoryError: the history lacks something that it must hold; another try may find it.
        """
        kept = await self._of(run)
        async with kept.lock:
            new = self._remembered(kept, given)
            if new is None:
                new = await self._read(run, kept, given)
            self._fit(run, kept)
            return [*kept.items, *new]

    async def call(self, run: RunRef, given: ActInput) -> ProposedCall:
        """Returns a call as the model proposed it.

        Raises:
            HistoryError: the history does not hold that call.
        """
        kept = await self._of(run)
        async with kept.lock:
            decision = kept.last if kept.step == given.step else None
            if decision is None or decision.digest(given.step) != given.decision:
                decision = (await self._history.since(run, given.step)).decisions.get(given.step)
        calls = {call.call_id: call for call in decision.calls} if decision else {}
        if given.call_id not in calls:
            raise HistoryError(f"the history holds no call {given.call_id}")
        return calls[given.call_id].model_copy()  # so that its parsed arguments are not kept, uncounted

    async def before(self, run: RunRef, step: int, decision: str) -> Before:
        """Returns what a run had said and read when it made a decision, that decision included.

        Args:
            run: the run.
            step: the decision's step.
            decision: its digest; empty for whichever the history has.

        Raises:
            HistoryError: the history does not hold that decision; another try may find it.
        """
        kept = await self._of(run)
        async with kept.lock:
            items = await self._until(run, kept, step, decision)
            past = kept.past = kept.past or past_of(kept.opening)
            if self._runs.get(run) is kept:
                self._pasts[run] = kept
                self._pasts.move_to_end(run)
            self._fit(run, kept)
        before = Before(items, past)
        if past.unread(before.results, before.heard) > READ_AT_ONCE:
            # A worker that takes a long run over: only functions of ours read, so that no limit of a review counts.
            await asyncio.to_thread(past.read, before.results, before.heard)
        return before

    async def _until(self, run: RunRef, kept: _Conversation, step: int, decision: str) -> list[Item]:
        last = kept.last if kept.step == step else None
        if last is not None and last.digest(step) == decision:
            return list(kept.items)
        recorded = await self._history.since(run, step - 1)
        given, decided = recorded.inputs.get(step), recorded.decisions.get(step)
        if given is None or decided is None or (decision and decided.digest(step) != decision):
            raise HistoryError("the history does not show this decision yet")
        new = self._remembered(kept, given)
        if new is None:
            new = await self._read(run, kept, given)
        return [*kept.items, *new, Decided(decided)]

    def decided(self, run: RunRef, given: DecideInput, conversation: list[Item], decision: Decision) -> None:
        """Remembers a decision that this worker got from the model, if it continues what is remembered."""
        kept = self._runs.get(run)
        if kept is not None and kept.items == conversation[: len(kept.items)]:
            kept.decided(given.step, conversation[len(kept.items) :], decision)
            self._fit(run, kept)

    def acted(self, run: RunRef, call_id: str, text: str) -> None:
        """Remembers a result that this worker produced."""
        kept = self._runs.get(run)
        if kept is not None:
            kept.acted(call_id, text)
            self._fit(run, kept)

    def _remembered(self, kept: _Conversation, given: DecideInput) -> list[Item] | None:
        if given.step == 1:
            kept.forget()  # an earlier attempt may have left a decision that was never recorded
            return _news(given, {})
        last = kept.last
        if kept.step != given.step - 1 or last is None or last.digest(kept.step) != given.previous:
            return None
        for seen in given.observations:
            known = kept.results.get(seen.call_id)
            if seen.text is None and (known is None or short_digest(known) != seen.digest):
                return None
        return _news(given, kept.results)

    async def _read(self, run: RunRef, kept: _Conversation, given: DecideInput) -> list[Item]:
        """Reads the history from the last remembered step on, or from the start where that step differs from it."""
        if kept.step >= given.step:
            kept.forget()
        recorded = await self._history.since(run, kept.step)
        last = kept.last
        if last is not None and recorded.decisions.get(kept.step) != last:
            kept.forget()
            recorded = await self._history.since(run, 0)
        if given.step not in recorded.inputs:
            raise HistoryError("the history does not show this decision yet")
        for step in range(kept.step + 1, given.step):
            if step not in recorded.decisions:
                continue  # that request brought no decision; the next one is told the same
            new = _news(_recorded_input(recorded, step), _texts(recorded))
            kept.decided(step, new, recorded.decisions[step])
        return _news(given, _texts(recorded))

    async def _of(self, run: RunRef) -> _Conversation:
        kept = self._runs.get(run)
        if kept is None:
            kept = self._runs.setdefault(run, _Conversation.begun(await self._opening(run)))
        self._runs.move_to_end(run)
        self._fit(run, kept)
        return kept

    async def _opening(self, run: RunRef) -> Opening:
        try:
            return await self._history.opening(run)
        except ForeignRunError as error:
            raise ApplicationError(str(error), type=error.code, non_retryable=True) from None

    def _fit(self, run: RunRef, kept: _Conversation) -> None:
        """Counts the growth of a run, and forgets the runs unused for longest until the rest fits.

        What results said goes first: it is made anew from the conversation.
        """
        if self._runs.get(run) is not kept:
            return  # forgotten meanwhile, while somebody still read it
        weighs = kept.weight + (kept.past.weight if kept.past else 0)
        self._held += weighs - kept.counted
        kept.counted = weighs
        while self._held > self._capacity and self._pasts:
            _, heavy = self._pasts.popitem(last=False)
            heavy.past = None
            self._held += heavy.weight - heavy.counted
            heavy.counted = heavy.weight
        while self._held > self._capacity and self._runs:
            forgetting, forgotten = self._runs.popitem(last=False)
            self._pasts.pop(forgetting, None)
            self._held -= forgotten.counted


def _recorded_input(recorded: Recorded, step: int) -> DecideInput:
    if step not in recorded.inputs:
        raise HistoryError(f"the history holds no input of step {step}")
    return recorded.inputs[step]


def _texts(recorded: Recorded) -> dict[str, str]:
    return {call_id: result.text for call_id, result in recorded.results.items()}


def _news(given: DecideInput, results: dict[str, str]) -> list[Item]:
    """Returns what a decision is told beyond the one before it."""
    items: list[Item] = []
    for seen in given.observations:
        text = seen.text if seen.text is not None else results.get(seen.call_id)
        if text is None:
            raise HistoryError(f"the history holds no result of call {seen.call_id}")
        items.append(Observed(seen.call_id, text, seen.refused, seen.denied, tuple(seen.labels)))
    heard = (Said(one.shown, one.text, one.requester, one.opens) for one in given.heard)
    return [*items, *(Said(note) for note in given.notes), *heard]


def _total(values: Iterable[object]) -> int:
    return sum(weight(value) for value in values)
