"""What a worker remembers of runs: their conversation, rebuilt from their own history where something is missing.

INVARIANT: what is remembered is what the history records. A reply or a result that this worker produced itself is
trusted only where the digest in the next input says that it is the recorded one: another attempt may have won.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from backstay.contracts.admission import Opening
from backstay.contracts.call import ActInput
from backstay.contracts.conversation import Decided, Item, Observed, Said
from backstay.contracts.decision import DecideInput, Decision, ProposedCall, short_digest
from backstay.contracts.history import Recorded, RunRef
from backstay.errors import HistoryError
from backstay.ports import History


@dataclass(slots=True)
class _Memory:
    """One run: `items` is the conversation up to and with the decision of `step`."""

    opening: Opening
    items: list[Item]
    step: int = 0
    results: dict[str, str] = field(default_factory=dict[str, str])
    size: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def last(self) -> Decision | None:
        """The last decision that is remembered."""
        return next((item.decision for item in reversed(self.items) if isinstance(item, Decided)), None)

    def decided(self, step: int, new: list[Item], decision: Decision) -> None:
        """Takes down what a decision was asked with, and the decision."""
        self.items += [*new, Decided(decision)]
        self.size += sum(_size(item) for item in new) + len(decision.model_dump_json())
        self.step = step
        self.results.clear()

    def forget(self) -> None:
        """Goes back to the goal; the history has the rest."""
        self.items, self.step, self.size = self.items[:1], 0, 0
        self.results.clear()


class RunMemory:
    """Conversations of the runs a worker works on; `capacity` bytes, 0 remembers nothing."""

    def __init__(self, history: History, capacity: int) -> None:
        self._history = history
        self._capacity = capacity
        self._runs: OrderedDict[RunRef, _Memory] = OrderedDict()

    async def opening(self, run: RunRef) -> Opening:
        """Who asked for what, and what was admitted."""
        return (await self._memory(run)).opening

    async def conversation(self, run: RunRef, given: DecideInput) -> list[Item]:
        """The whole conversation that the decision of `given` is asked with.

        Raises:
            HistoryError: the history lacks something that it must hold; worth another try.
        """
        memory = await self._memory(run)
        async with memory.lock:
            new = self._remembered(memory, given)
            if new is None:
                new = await self._read(run, memory, given)
            return [*memory.items, *new]

    async def call(self, run: RunRef, given: ActInput) -> ProposedCall:
        """A call as the model proposed it.

        Raises:
            HistoryError: the history does not hold that call.
        """
        memory = await self._memory(run)
        async with memory.lock:
            decision = memory.last if memory.step == given.step else None
            if decision is None or decision.digest(given.step) != given.decision:
                decision = (await self._history.since(run, given.step)).decisions.get(given.step)
        calls = {call.call_id: call for call in decision.calls} if decision else {}
        if given.call_id not in calls:
            raise HistoryError(f"the history holds no call {given.call_id}")
        return calls[given.call_id]

    def decided(self, run: RunRef, given: DecideInput, conversation: list[Item], decision: Decision) -> None:
        """Remembers a decision that this worker brought about, where it goes on from what is remembered."""
        memory = self._runs.get(run)
        if memory is not None and memory.items == conversation[: len(memory.items)]:
            memory.decided(given.step, conversation[len(memory.items) :], decision)

    def acted(self, run: RunRef, call_id: str, text: str) -> None:
        """Remembers a result that this worker brought about."""
        memory = self._runs.get(run)
        if memory is not None:
            memory.results[call_id] = text
            memory.size += len(text)

    def _remembered(self, memory: _Memory, given: DecideInput) -> list[Item] | None:
        if given.step == 1:
            memory.forget()  # an attempt at it whose reply was lost may have left one
            return _news(given, {})
        last = memory.last
        if memory.step != given.step - 1 or last is None or last.digest(memory.step) != given.previous:
            return None
        for seen in given.observations:
            known = memory.results.get(seen.call_id)
            if seen.text is None and (known is None or short_digest(known) != seen.digest):
                return None
        return _news(given, memory.results)

    async def _read(self, run: RunRef, memory: _Memory, given: DecideInput) -> list[Item]:
        """Reads back to the last step that is remembered, and further where that one is not the recorded one."""
        if memory.step >= given.step:
            memory.forget()
        recorded = await self._history.since(run, memory.step)
        last = memory.last
        if last is not None and recorded.decisions.get(memory.step) != last:
            memory.forget()
            recorded = await self._history.since(run, 0)
        if given.step not in recorded.inputs:
            raise HistoryError("the history does not show this decision yet")
        for step in range(memory.step + 1, given.step):
            if step not in recorded.decisions:
                continue  # nothing came of it, and the next decision is told what this one was
            new = _news(_recorded_input(recorded, step), _texts(recorded))
            memory.decided(step, new, recorded.decisions[step])
        return _news(given, _texts(recorded))

    async def _memory(self, run: RunRef) -> _Memory:
        memory = self._runs.get(run)
        if memory is None:
            opening = await self._history.opening(run)
            memory = self._runs.setdefault(run, _Memory(opening, [Said(opening.goal)]))
        self._runs.move_to_end(run)
        while len(self._runs) > 1 and sum(other.size for other in self._runs.values()) > self._capacity:
            self._runs.popitem(last=False)
        if self._capacity == 0:
            self._runs.pop(run, None)
        return memory


def _recorded_input(recorded: Recorded, step: int) -> DecideInput:
    if step not in recorded.inputs:
        raise HistoryError(f"the history holds no input of step {step}")
    return recorded.inputs[step]


def _texts(recorded: Recorded) -> dict[str, str]:
    return {call_id: result.text for call_id, result in recorded.results.items()}


def _news(given: DecideInput, results: dict[str, str]) -> list[Item]:
    """What a decision is told that the one before it was not."""
    items: list[Item] = []
    for seen in given.observations:
        text = seen.text if seen.text is not None else results.get(seen.call_id)
        if text is None:
            raise HistoryError(f"the history holds no result of call {seen.call_id}")
        items.append(Observed(seen.call_id, text))
    return [*items, *(Said(note) for note in given.notes)]


def _size(item: Item) -> int:
    return 200 if isinstance(item, Decided) else len(item.text) + 100
