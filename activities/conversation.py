"""Keeps the conversations of runs in memory, and rebuilds from the history what is missing.

INVARIANT: only what the history records is used. A worker trusts a reply or a result of its own only once the next
input repeats its digest, because another attempt may have won.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from temporalio.exceptions import ApplicationError

from backstay.contracts.admission import Opening
from backstay.contracts.call import ActInput
from backstay.contracts.conversation import Compacted, Decided, Item, Kept, Observed, Said, Written
from backstay.contracts.decision import DecideInput, Decision, Observation, ProposedCall
from backstay.contracts.history import Recorded, RunRef
from backstay.contracts.recall import RecallInput, Recollection
from backstay.errors import ForeignRunError, HistoryError
from backstay.kernel.keys import short_digest
from backstay.ports import History

from .compacted import as_read, compaction_of, plain
from .past import Before, RunPast, past_of
from .weight import weight

READ_AT_ONCE = 20
"""The most results that the review of a call reads by itself."""


@dataclass(slots=True)
class _Conversation:
    """The conversation of one run: `items` end with the decision of `step`; `weight` is its bytes of memory.

    `told` has all items before that decision as the model reads them, and `written` what the model's adapter has made
    of them. `past` has what the results said, where somebody asks where values come from. `begun` counts how often the
    conversation was begun anew. `founded` has what it began with; None until it is known. Of a `compacted` one
    nothing is told or written beforehand.
    """

    opening: Opening
    items: list[Kept]
    weight: int
    counted: int = 0
    step: int = 0
    results: dict[str, str] = field(default_factory=dict[str, str])
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    past: RunPast | None = None
    told: list[Item] = field(default_factory=list[Item])
    written: Written = field(default_factory=Written)
    begun: int = 0
    founded: Recollection | None = None
    compacted: bool = False

    @classmethod
    def of(cls, opening: Opening) -> "_Conversation":
        """Returns a conversation that holds the goal alone; that of a later link is empty until it is founded."""
        goal: list[Kept] = [Said(opening.goal)]
        if opening.continues is not None:
            return cls(opening, [], weight(opening))
        return cls(opening, goal, weight(opening) + _total(goal), founded=Recollection(tuple(goal)))

    @property
    def began_at(self) -> int:
        """The step of the last decision that the conversation began with; 0 in the first link of a chain."""
        return self.founded.step if self.founded else 0

    def found(self, recollection: Recollection) -> None:
        """Begins with what earlier links have said and read."""
        self.founded = recollection
        self.weight += _total(recollection.items)
        self._begin(recollection)

    def _begin(self, recollection: Recollection) -> None:
        self.items, self.step = list(recollection.items), recollection.step
        self.compacted = compaction_of(self.items) is not None
        for call_id, text in recollection.results.items():
            self.acted(call_id, text)

    @property
    def last(self) -> Decision | None:
        """The last decision that is remembered; None before the first."""
        return _last(self.items)

    def decided(self, step: int, new: list[Kept], decision: Decision) -> None:
        """Adds what was new to a decision, and the decision."""
        self._drop_results()
        if compaction_of(new) is not None:
            self.compacted, self.told, self.written = True, [], Written()
        if not self.compacted:
            self.told += self.as_told(new)
        added = [*new, Decided(decision)]
        self.weight += _total(added)
        self.items += added
        self.step = step

    def as_told(self, new: list[Kept]) -> tuple[Item, ...]:
        """Returns the last decision and what came of it, as the model reads them.

        INVARIANT: what is told of a decision depends on its own results alone, and those are all of them. Once
        something was compacted, nothing is told beforehand, and all of it is made anew.
        """
        return as_read([*self.items[len(self.told) :], *new])

    def acted(self, call_id: str, text: str) -> None:
        """Adds a result that no decision was told yet."""
        self.weight += weight(text) - weight(self.results.get(call_id, ""))
        self.results[call_id] = text

    def forget(self) -> None:
        """Forgets all but what the conversation began with; the history has the rest."""
        founded = self.founded or Recollection(())
        self._drop_results()
        self.weight -= _total(self.items[len(founded.items) :])
        self.told, self.written = [], Written()
        self.begun += 1
        self._begin(founded)

    @property
    def extra(self) -> int:
        """The bytes of what is made anew from the items where it is dropped."""
        return self.written.weight + (self.past.weight if self.past else 0)

    def drop_extra(self) -> None:
        """Drops what is made anew when somebody asks for it."""
        self.past, self.written = None, Written()

    def _drop_results(self) -> None:
        self.weight -= _total(self.results.values())
        self.results.clear()


@dataclass(frozen=True, slots=True)
class Asked:
    """Holds the conversation as a decision is asked with it.

    Attributes:
        items: as the model reads them; the first `settled` will never change.
        new: those of them that the decision before was not told yet.
        written: what the model's adapter has made of the settled ones.
        place: where it goes on from, in the memory of the worker.
    """

    items: tuple[Item, ...]
    settled: int
    new: list[Kept]
    written: Written
    place: tuple[int, int]


class Conversations:
    """The conversations of the runs that a worker works on; holds `capacity` bytes at most, with 0 none."""

    def __init__(self, history: History, capacity: int) -> None:
        self._history = history
        self._capacity = capacity
        self._held = 0
        self._runs: OrderedDict[RunRef, _Conversation] = OrderedDict()
        self._extras: OrderedDict[RunRef, _Conversation] = OrderedDict()

    @property
    def held(self) -> int:
        """The bytes that all conversations take together, about; a running total, because it is asked for often."""
        return self._held

    @property
    def runs(self) -> Mapping[RunRef, int]:
        """The runs that are remembered, the first to be forgotten first, each with its bytes."""
        return {run: kept.counted for run, kept in self._runs.items()}

    async def opening(self, run: RunRef) -> Opening:
        """Reads who asked for what, and what was admitted."""
        return (await self._of(run)).opening

    async def conversation(self, run: RunRef, given: DecideInput) -> Asked:
        """Returns the whole conversation that a decision is asked with.

        Raises:
            HistoryError: the history lacks something that it must hold; another try may find it.
        """
        kept = await self._of(run)
        async with kept.lock:
            await self._found(run, kept)
            new = self._remembered(kept, given)
            if new is None:
                new = await self._read(run, kept, given)
            self._fit(run, kept)
            place = (kept.begun, len(kept.items))
            if kept.compacted or compaction_of(new) is not None:
                return Asked(as_read([*kept.items, *new]), 0, new, Written(), place)
            return Asked((*kept.told, *kept.as_told(new)), len(kept.told), new, kept.written, place)

    async def left(self, run: RunRef, given: RecallInput) -> Recollection:
        """Returns the conversation of the links before one, as the last of them has left it.

        Raises:
            HistoryError: a history lacks something that it must hold; another try may find it.
            HistoryGoneError: the engine has forgotten the link before.
        """
        opening = await self.opening(run)
        if opening.continues is None:
            raise HistoryError("no link comes before the first one")
        before = RunRef(run.workflow_id, opening.continues)
        kept = await self._of(before)
        async with kept.lock:
            await self._found(before, kept)
            last = kept.last
            known = kept.step == given.step and (last is None or last.digest(kept.step) == given.decision)
            if not known or not _remembers(kept, given.observations):
                if kept.step >= given.step:
                    kept.forget()
                recorded = await self._recorded(before, kept)
                _catch_up(kept, recorded, given.step + 1)
                for call_id, text in _texts(recorded).items():
                    kept.acted(call_id, text)
            self._fit(before, kept)
            last = kept.last
            if kept.step != given.step or (last is not None and last.digest(kept.step) != given.decision):
                raise HistoryError("the history of the link before does not lead to its last decision")
            wanted = [seen.call_id for seen in given.observations if seen.text is None]
            if missing := [call_id for call_id in wanted if call_id not in kept.results]:
                raise HistoryError(f"the history of the link before holds no result of call {missing[0]}")
            return Recollection(tuple(kept.items), kept.step, {one: kept.results[one] for one in wanted})

    async def call(self, run: RunRef, given: ActInput) -> ProposedCall:
        """Returns a call as the model proposed it.

        Raises:
            HistoryError: the history does not hold that call.
        """
        [call] = await self.calls(run, given.step, given.decision, [given.call_id])
        return call

    async def calls(self, run: RunRef, step: int, digest: str, wanted: Sequence[str]) -> list[ProposedCall]:
        """Returns calls of one decision as the model proposed them.

        Args:
            run: the run.
            step: the decision's step.
            digest: the decision's digest.
            wanted: the ids of the calls.

        Raises:
            HistoryError: the history does not hold one of those calls.
        """
        kept = await self._of(run)
        async with kept.lock:
            await self._found(run, kept)
            decision = kept.last if kept.step == step else None
            if decision is None or decision.digest(step) != digest:
                decision = await self._decision(run, kept, step)
        calls = {call.call_id: call for call in decision.calls} if decision else {}
        for call_id in wanted:
            if call_id not in calls:
                raise HistoryError(f"the history holds no call {call_id}")
        # Copied, so that their parsed arguments are not kept, uncounted.
        return [calls[call_id].model_copy() for call_id in wanted]

    async def _decision(self, run: RunRef, kept: _Conversation, step: int) -> Decision | None:
        """Reads the decision of a step; the link before has made the one that this link began with."""
        if step == kept.began_at and kept.founded is not None:
            return _last(kept.founded.items)
        return (await self._history.since(run, step)).decisions.get(step)

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
            await self._found(run, kept)
            items = plain(await self._until(run, kept, step, decision))
            past = kept.past = kept.past or past_of(kept.opening)
            self._fit(run, kept)
        before = Before(items, past)
        if past.unread(before.results, before.heard) > READ_AT_ONCE:
            # A worker that takes a long run over: only functions of ours read, so that no limit of a review counts.
            await asyncio.to_thread(past.read, before.results, before.heard)
        return before

    async def until(self, run: RunRef, step: int, decision: str) -> list[Kept]:
        """Returns the whole conversation up to a decision, as `before` does, with what was compacted in it.

        Raises:
            HistoryError: the history does not hold that decision; another try may find it.
        """
        kept = await self._of(run)
        async with kept.lock:
            await self._found(run, kept)
            items = await self._until(run, kept, step, decision)
            self._fit(run, kept)
            return items

    async def _until(self, run: RunRef, kept: _Conversation, step: int, decision: str) -> list[Kept]:
        last = kept.last if kept.step == step else None
        if last is not None and last.digest(step) == decision:
            return list(kept.items)
        if step == kept.began_at and kept.founded is not None:
            first = _last(kept.founded.items)
            if first is not None and decision in ("", first.digest(step)):
                return list(kept.founded.items)
        recorded = await self._history.since(run, step - 1)
        given, decided = recorded.inputs.get(step), recorded.decisions.get(step)
        if given is None or decided is None or (decision and decided.digest(step) != decision):
            raise HistoryError("the history does not show this decision yet")
        new = self._remembered(kept, given)
        if new is None:
            new = await self._read(run, kept, given)
        return [*kept.items, *new, Decided(decided)]

    def decided(self, run: RunRef, given: DecideInput, asked: Asked, decision: Decision) -> None:
        """Remembers a decision that this worker got from the model, if it continues what is remembered."""
        kept = self._runs.get(run)
        if kept is not None and not kept.lock.locked() and (kept.begun, len(kept.items)) == asked.place:
            kept.decided(given.step, asked.new, decision)
            self._fit(run, kept)

    def answered(self, run: RunRef) -> None:
        """Forgets the words of a run that has answered: it will ask nothing more.

        Its opening is kept while there is room, because what a run does at its end may read that; but not for long.
        """
        kept = self._runs.get(run)
        if kept is not None and not kept.lock.locked():
            kept.forget()
            kept.drop_extra()
            self._fit(run, kept)
            self._runs.move_to_end(run, last=False)

    def acted(self, run: RunRef, call_id: str, text: str) -> None:
        """Remembers a result that this worker produced."""
        kept = self._runs.get(run)
        if kept is not None:
            kept.acted(call_id, text)
            self._fit(run, kept)

    def _remembered(self, kept: _Conversation, given: DecideInput) -> list[Kept] | None:
        if given.step == kept.began_at + 1:
            # An earlier attempt may have left a decision that was never recorded. The calls of the decision that the
            # link began with may have ended in it.
            results = dict(kept.results) if kept.step == kept.began_at else {}
            kept.forget()
            for call_id, text in results.items():
                kept.acted(call_id, text)
            return _news(given, kept.results) if _remembers(kept, given.observations) else None
        last = kept.last
        if kept.step != given.step - 1 or last is None or last.digest(kept.step) != given.previous:
            return None
        return _news(given, kept.results) if _remembers(kept, given.observations) else None

    async def _read(self, run: RunRef, kept: _Conversation, given: DecideInput) -> list[Kept]:
        """Reads the history from the last remembered step on, or from the start where that step differs from it."""
        if kept.step >= given.step:
            kept.forget()
        recorded = await self._recorded(run, kept)
        if given.step not in recorded.inputs:
            raise HistoryError("the history does not show this decision yet")
        _catch_up(kept, recorded, given.step)
        return _news(given, {**_handed(kept), **_texts(recorded)})

    async def _recorded(self, run: RunRef, kept: _Conversation) -> Recorded:
        """Reads the history from the last remembered step on, if it has that as it is remembered."""
        recorded = await self._history.since(run, kept.step)
        if kept.step > kept.began_at and recorded.decisions.get(kept.step) != kept.last:
            kept.forget()
            recorded = await self._history.since(run, kept.step)
        return recorded

    async def _found(self, run: RunRef, kept: _Conversation) -> None:
        """Reads what earlier links have handed on; the caller holds the conversation's lock."""
        if kept.founded is None:
            kept.found(await self._history.recalled(run))
            self._leave(RunRef(run.workflow_id, kept.opening.continues or ""))

    def _leave(self, before: RunRef) -> None:
        """Forgets the link before, which nobody asks for any more."""
        self._extras.pop(before, None)
        if (forgotten := self._runs.pop(before, None)) is not None:
            self._held -= forgotten.counted

    async def _of(self, run: RunRef) -> _Conversation:
        kept = self._runs.get(run)
        if kept is None:
            kept = self._runs.setdefault(run, _Conversation.of(await self._opening(run)))
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

        What is made anew from a conversation goes first.
        """
        if self._runs.get(run) is not kept:
            return  # forgotten meanwhile, while somebody still read it
        weighs = kept.weight + kept.extra
        self._held += weighs - kept.counted
        kept.counted = weighs
        if kept.extra or kept.past is not None:
            self._extras[run] = kept
            self._extras.move_to_end(run)
        while self._held > self._capacity and self._extras:
            _, heavy = self._extras.popitem(last=False)
            heavy.drop_extra()
            self._held += heavy.weight - heavy.counted
            heavy.counted = heavy.weight
        while self._held > self._capacity and self._runs:
            forgetting, forgotten = self._runs.popitem(last=False)
            self._extras.pop(forgetting, None)
            self._held -= forgotten.counted


def _last(items: Sequence[Kept]) -> Decision | None:
    return next((item.decision for item in reversed(items) if isinstance(item, Decided)), None)


def _recorded_input(recorded: Recorded, step: int) -> DecideInput:
    if step not in recorded.inputs:
        raise HistoryError(f"the history holds no input of step {step}")
    return recorded.inputs[step]


def _catch_up(kept: _Conversation, recorded: Recorded, step: int) -> None:
    """Adds the recorded decisions before a step that are not remembered."""
    texts = {**_handed(kept), **_texts(recorded)}
    for number in range(kept.step + 1, step):
        if number not in recorded.decisions:
            continue  # that request brought no decision; the next one is told the same
        new = _news(_recorded_input(recorded, number), texts)
        kept.decided(number, new, recorded.decisions[number])


def _remembers(kept: _Conversation, observations: Iterable[Observation]) -> bool:
    """Tells whether the results that the history has of calls are known here."""
    for seen in observations:
        known = kept.results.get(seen.call_id)
        if seen.text is None and (known is None or short_digest(known) != seen.digest):
            return False
    return True


def _handed(kept: _Conversation) -> Mapping[str, str]:
    """Returns the results that the link before has handed on."""
    return kept.founded.results if kept.founded else {}


def _texts(recorded: Recorded) -> dict[str, str]:
    return {call_id: result.text for call_id, result in recorded.results.items()}


def _news(given: DecideInput, results: dict[str, str]) -> list[Kept]:
    """Returns what a decision is told beyond the one before it."""
    items: list[Kept] = [Compacted(given.compaction)] if given.compaction else []
    for seen in given.observations:
        text = seen.text if seen.text is not None else results.get(seen.call_id)
        if text is None:
            raise HistoryError(f"the history holds no result of call {seen.call_id}")
        items.append(Observed(seen.call_id, text, seen.refused, seen.denied, tuple(seen.labels), given.shown))
    heard = (Said(one.shown, one.text, one.requester, one.opens) for one in given.heard)
    return [*items, *(Said(note) for note in given.notes), *heard]


def _total(values: Iterable[object]) -> int:
    return sum(weight(value) for value in values)
