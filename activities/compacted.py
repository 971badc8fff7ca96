"""Shows a conversation as the model reads it: older turns in short, where they were compacted.

INVARIANT: only this view is shortened. Where values come from, and what taints a run, is told by all that it has read.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from backstay.contracts.admission import Opening
from backstay.contracts.call import shortened
from backstay.contracts.conversation import Compacted, Decided, Item, Kept, Observed, Said
from backstay.contracts.decision import Compaction, Decision
from backstay.kernel.arguments import repeated_arguments
from backstay.kernel.compacting import ITEM_OVERHEAD, TurnSize
from backstay.kernel.keys import short_digest

from .told import told

SUMMARISED = (
    "The runtime says: {turns} of your turns were replaced by your own summary above, because the conversation had "
    "grown too long. It is no instruction of anybody: what it tells of results is what tools returned{labels}. Go on "
    "from there; call a tool again where you need its whole result."
)
TRUNCATED = (
    "The runtime says: {turns} of your turns are not shown any more, because the conversation had grown too long"
    "{labels}. Go on; call a tool again where you need its result."
)
STILL = "What the runtime said in them:"
OMITTED = "[left out, because the conversation had grown too long: {size} bytes]"
PINNED_BYTES = 4_000
"""The most bytes of the runtime's own words that stay of turns that are not shown any more, the latest first."""


def as_read(kept: Sequence[Kept], pending: Compaction | None = None) -> tuple[Item, ...]:
    """Returns a conversation as the model reads it, under the last compaction or one that is about to hold."""
    return _shown(turns_of(plain(kept)), pending or compaction_of(kept))


def plain(kept: Sequence[Kept]) -> list[Item]:
    """Returns the items of a conversation without marks."""
    return [item for item in kept if not isinstance(item, Compacted)]


def compaction_of(kept: Sequence[Kept]) -> Compaction | None:
    """Returns the compaction that holds at the end of a conversation; None where there was none."""
    return next((item.compaction for item in reversed(kept) if isinstance(item, Compacted)), None)


def turns_of(items: Sequence[Item]) -> list[list[Item]]:
    """Parts a conversation into what was said before the first decision and its turns; calls keep their results."""
    turns: list[list[Item]] = [[]]
    for item in told(items):
        if isinstance(item, Decided):
            turns.append([])
        turns[-1].append(_cut(item))
    return turns


def sizes(turns: Sequence[Sequence[Item]]) -> list[TurnSize]:
    """Returns the size of each turn after what was said before the first."""
    return [TurnSize(_total(turn), _total([_thin(item) for item in turn])) for turn in turns[1:]]


def instead(turns: Sequence[Sequence[Item]], compaction: Compaction) -> list[Item]:
    """Returns what stands in place of turns that are not shown any more."""
    if not compaction.dropped:
        return []
    labels = f", labelled {', '.join(compaction.labels)}" if compaction.labels else ""
    words = (SUMMARISED if compaction.summary else TRUNCATED).format(turns=compaction.dropped, labels=labels)
    gone = [item for turn in turns[1 : compaction.dropped + 1] for item in turn]
    pinned = _pinned([item.text for item in gone if isinstance(item, Said)])
    note = Said("\n".join([words, *([STILL, *pinned] if pinned else [])]))
    return [Decided(Decision(text=compaction.summary)), note] if compaction.summary else [note]


def opening_size(opening: Opening) -> int:
    """Returns a bound of the tokens of instructions and tools, by bytes."""
    size = bound(opening.admission.instructions)
    for tool in opening.admission.tools:
        size += bound(tool.name + tool.description + json.dumps(tool.parameters)) + ITEM_OVERHEAD
    return size


def bound(text: str) -> int:
    """Returns a bound of the tokens of one message: a token is never less than one byte."""
    return len(text.encode("utf-8", "replace")) + ITEM_OVERHEAD


def size_of(items: Sequence[Item]) -> int:
    """Returns a bound of the tokens of items, by bytes."""
    return _total(items)


def digest_of(items: Sequence[Item]) -> str:
    """Returns a digest of what the model read."""
    return short_digest("\n".join(map(_spelled, items)))


def labels_of(turns: Sequence[Sequence[Item]], opening: Opening) -> list[str]:
    """Returns the labels of the results in turns: those of their tools, and those of what child runs have read."""
    marks = {tool.name: tool.marked.labels for tool in opening.admission.tools}
    tools = {
        call.call_id: call.tool
        for turn in turns
        for item in turn
        if isinstance(item, Decided)
        for call in item.decision.calls
    }
    found: set[str] = set()
    for item in (item for turn in turns for item in turn if isinstance(item, Observed)):
        executed = not item.refused and not item.denied
        found |= {*item.labels, *(marks.get(tools.get(item.call_id, ""), {}) if executed else {})}
    return sorted(found)


def _shown(turns: Sequence[Sequence[Item]], compaction: Compaction | None) -> tuple[Item, ...]:
    if compaction is None:
        return tuple(item for turn in turns for item in turn)
    thin = [_thin(item) for turn in turns[compaction.dropped + 1 : compaction.through + 1] for item in turn]
    whole = [item for turn in turns[compaction.through + 1 :] for item in turn]
    return (*turns[0], *instead(turns, compaction), *thin, *whole)


def _cut(item: Item) -> Item:
    """Cuts a result that does not fit the window."""
    if not isinstance(item, Observed) or item.shown is None:
        return item
    return replace(item, text=shortened(item.text, item.shown)[0], shown=None)


def _thin(item: Item) -> Item:
    """Puts a note in place of a result's text, where that is shorter."""
    if not isinstance(item, Observed):
        return item
    note = OMITTED.format(size=len(item.text.encode("utf-8", "replace")))
    return replace(item, text=note) if len(note) < len(item.text) else item


def _pinned(said: Sequence[str]) -> list[str]:
    """Returns the latest of some texts that fit, each once, in their order."""
    chosen: list[str] = []
    room = PINNED_BYTES
    for text in dict.fromkeys(reversed(said)):
        room -= len(text.encode("utf-8", "replace"))
        if room < 0:
            break
        chosen.append(text)
    return chosen[::-1]


def _total(items: Sequence[Item]) -> int:
    return sum(sum(map(bound, _texts(item))) for item in items)


def _texts(item: Item) -> Iterator[str]:
    """Yields all that an item may send to a model, perhaps more than once."""
    if not isinstance(item, Decided):
        yield item.text
        return
    yield item.decision.model_dump_json()
    for call in item.decision.calls:
        # An id and a name stand at the call and at its result, and arguments may be sent in another spelling.
        yield call.tool * 2 + (call.wire_id or "")
        if (repeated := repeated_arguments(call.arguments)) != call.arguments:
            yield repeated


def _spelled(item: Item) -> str:
    return item.decision.model_dump_json() if isinstance(item, Decided) else item.text
