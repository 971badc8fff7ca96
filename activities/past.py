"""Keeps what the results of a run said, so that it can be told where the values of its calls come from.

INVARIANT: a call is judged by the results that stood before its own decision, and by no later one.
"""

import contextlib
import functools
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backstay.contracts.admission import Opening, ToolSpec
from backstay.contracts.conversation import Decided, Item, Observed, Said
from backstay.contracts.decision import ProposedCall
from backstay.kernel.arguments import Unreadable
from backstay.kernel.origins import SPEAKER, Origins
from backstay.kernel.past import PARENT, FullError, Past, Result
from backstay.kernel.sourcing import Finder, Sourcing, Spoken

ORIGINS_BYTES = 16_000
"""The most bytes that a verdict says of origins; those of one decision share the room of one event."""
_NO_FIELDS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Asked:
    """Names a call to look up: its values as the model wrote them, and in its tool's own types."""

    call: ProposedCall
    tool: ToolSpec
    arguments: Mapping[str, Any]
    values: Mapping[str, Any]


Results = Mapping[str, tuple[ProposedCall, Observed]]
"""The results of a run in their order, each with the call that it answers, by the call's id."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Words of a person after the goal; `by_requester` says whether that is who asked for the run."""

    text: str
    by_requester: bool


@dataclass(frozen=True, slots=True)
class Told:
    """Holds what a run above told this one: a text that may copy what that run has read, under these labels."""

    text: str
    labels: frozenset[str]


class RunPast:
    """The results of one run, read once each; every review of the run's calls may ask, from any thread."""

    def __init__(self, goal: str, tools: Sequence[ToolSpec], told: Told | None = None) -> None:
        """Prepares it; nothing is read before somebody asks, because that takes time.

        Args:
            goal: what the run was asked for.
            tools: as the run was admitted with them.
            told: what a run above told this one, where that has labels.
        """
        self._goal = goal
        self._told = told
        self._tools = {tool.name: tool for tool in tools}
        self._reading = threading.Lock()
        self._past: Past | None = None
        self._seen: list[str] = []
        self._heard: tuple[Heard, ...] = ()

    @property
    def weight(self) -> int:
        """The bytes of memory that it takes, about."""
        return self._past.weight if self._past else 0

    def origins(self, results: Results, spoken: Spoken, sourcing: Sourcing, heard: tuple[Heard, ...] = ()) -> Origins:
        """Returns where the values of a call come from.

        Args:
            results: those that stood before the decision that proposed the call.
            spoken: the call.
            sourcing: what is known apart from the run.
            heard: what people had said before that decision.

        Raises:
            FullError: the run has read more than can be told apart.
        """
        with self._reading:
            if not self._continues(results, heard):
                fresh = RunPast(self._goal, [*self._tools.values()], self._told)
                return fresh.origins(results, spoken, sourcing, heard)
            return Finder(self._read(results, heard), sourcing).origins(spoken)

    def unread(self, results: Results, heard: tuple[Heard, ...] = ()) -> int:
        """Returns how many results have yet to be read."""
        if not self._continues(results, heard):
            return 0
        return len(results) - (len(self._seen) if heard == self._heard else 0)

    def read(self, results: Results, heard: tuple[Heard, ...] = ()) -> None:
        """Reads results ahead, however long that takes; whoever asks finds what went wrong."""
        with self._reading, contextlib.suppress(FullError):
            if self._continues(results, heard):
                self._read(results, heard)

    def _continues(self, results: Results, heard: tuple[Heard, ...]) -> bool:
        """Tells whether results and words begin with those that were read; else later ones were read too."""
        seen = list(self._seen)
        return list(results)[: len(seen)] == seen and heard[: len(self._heard)] == self._heard

    def _read(self, results: Results, heard: tuple[Heard, ...]) -> Past:
        if heard != self._heard:
            # New words may name what stands in earlier results, so all is read again, once for each turn.
            self._past, self._seen, self._heard = None, [], heard
        if self._past is None:
            goal = "\n\n".join([self._goal, *(one.text for one in heard if one.by_requester)])
            self._past = Past(goal, {name: tool.marked for name, tool in self._tools.items()})
            if self._told is not None:
                self._past.add(Result(PARENT, False, {}, self._told.text, self._told.labels))
            for one in heard:
                if not one.by_requester:
                    self._past.add(Result(PARENT, False, {}, one.text, frozenset({SPEAKER})))
        # In their order: a record that was read tells which document is meant.
        for call_id in list(results)[len(self._seen) :]:
            call, seen = results[call_id]
            tool = self._tools.get(call.tool)
            arguments = {} if isinstance(call.parsed, Unreadable) else call.parsed
            reads = tool is not None and tool.effect == "read"
            self._past.add(Result(call.tool, reads, arguments, seen.text, frozenset(seen.labels)))
            self._seen.append(call_id)
        return self._past


def past_of(opening: Opening) -> RunPast:
    """Returns the past of a run: a person's words are those of the goal of the first run above."""
    if opening.asked is None:
        return RunPast(opening.goal, opening.admission.tools)
    told = Told(opening.goal, frozenset(opening.labels)) if opening.labels else None
    return RunPast(opening.asked, opening.admission.tools, told)


@dataclass(frozen=True)
class Before:
    """Holds the words and results of a run up to a decision, and what is kept of them."""

    items: Sequence[Item]
    past: RunPast

    @functools.cached_property
    def results(self) -> Results:
        """The results that stood before the decision, found once for all its calls."""
        return dict(_results(self.items))

    @functools.cached_property
    def heard(self) -> tuple[Heard, ...]:
        """The words that people had said before the decision, in their order."""
        said = (item for item in self.items if isinstance(item, Said))
        return tuple(Heard(item.heard, item.by_requester) for item in said if item.heard is not None)

    def origins(self, asked: Asked, sourcing: Sourcing, room: int = ORIGINS_BYTES) -> Origins:
        """Returns where the values of one of the decision's calls come from, in about `room` bytes.

        Raises:
            FullError: the run has read more than can be told apart.
            TooLongError: there is no room for it.
        """
        tool = asked.tool
        spoken = Spoken(
            tool.name,
            asked.arguments,
            asked.values,
            tool.roles,
            by_people=_by_people(self.items, asked),
            kinds=tool.marks.ids if tool.marks else {},
            fields=tool.fields if any(isinstance(one, dict | list) for one in asked.arguments.values()) else _NO_FIELDS,
        )
        return self.past.origins(self.results, spoken, sourcing, self.heard).fitting(room)


def _results(items: Sequence[Item]) -> Iterator[tuple[str, tuple[ProposedCall, Observed]]]:
    """Yields calls and their results by the calls' ids; refusals are the runtime's own words, and left out."""
    calls: dict[str, ProposedCall] = {}
    for item in items:
        if isinstance(item, Decided):
            for call in item.decision.calls:
                calls[call.call_id] = call
        elif isinstance(item, Observed) and not item.refused and not item.denied and item.call_id in calls:
            yield item.call_id, (calls[item.call_id], item)


def _by_people(items: Sequence[Item], asked: Asked) -> frozenset[str]:
    """Returns the arguments that are not as the model proposed them: only people change a call."""
    last = next((item.decision for item in reversed(items) if isinstance(item, Decided)), None)
    proposed = next((one for one in last.calls if one.call_id == asked.call.call_id), None) if last else None
    if proposed is None or proposed.arguments == asked.call.arguments:
        return frozenset()
    before = {} if isinstance(proposed.parsed, Unreadable) else proposed.parsed
    return frozenset(name for name, value in asked.arguments.items() if name not in before or before[name] != value)
