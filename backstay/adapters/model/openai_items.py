"""Writes a decision as items of the Responses API, in the order in which the reply had them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from backstay.contracts.decision import Decision, Part
from backstay.kernel import keys

from .returned import REASONING

JOINT = "\n\n"
"""Stands between two pieces of a decision's text."""

USUAL_ORDER = ("reasoning", "text", "call")
"""The order of the parts of most replies, and of those that were recorded without one."""

_BARE = tuple(Part(kind=kind) for kind in USUAL_ORDER)

Call = tuple[str, str, str]
"""The id, the name and the arguments of a call, as the wire has them."""


@dataclass(frozen=True, slots=True)
class Items:
    """Writes items.

    Attributes:
        whole: each has an id and a status, as a reply's items have; most servers want neither.
        withheld: fields of replies that the server does not want back.
    """

    whole: bool
    withheld: frozenset[str]

    def of(self, decision: Decision, text: str, calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
        """Yields the items of a decision.

        Args:
            decision: the decision.
            text: its text as the wire has it; of the same length.
            calls: its calls.
        """
        texts, reasoning, called = self._pieces(decision, text), iter(decision.reasoning), iter(calls)
        for part in decision.parts or _usual(decision):
            if part.kind == "reasoning":
                entry = next(reasoning, None)
                if entry is not None and _is_whole(entry):
                    yield self._reasoning(entry)
            elif part.kind == "text" and (piece := next(texts, "")):
                yield self._message(piece, part)
            elif part.kind == "call" and (call := next(called, None)):
                yield self._call(call, part)
        # A reading that changed since the decision was recorded may leave something over.
        for piece in texts:
            yield self._message(piece, Part(kind="text"))
        for call in called:
            yield self._call(call, Part(kind="call"))

    def result(self, id: str, output: str) -> dict[str, Any]:
        """Returns the item of a call's result."""
        item = {"type": "function_call_output", "call_id": id, "output": output}
        return item | ({"id": f"fco_{id}"} if self.whole else {})

    def _message(self, text: str, part: Part) -> dict[str, Any]:
        # One server knows a message by its type alone, and another wants parts instead of a text, an id and a status.
        item: dict[str, Any] = {"type": "message", "role": "assistant", "content": text}
        if self.whole:
            content: list[dict[str, Any]] = [{"type": "output_text", "text": text, "annotations": []}]
            item |= {"content": content, "id": f"msg_{keys.short_digest(text)}", "status": "completed"}
        return item | self._kept(part)

    def _call(self, call: Call, part: Part) -> dict[str, Any]:
        id, name, arguments = call
        item = {"type": "function_call", "call_id": id, "name": name, "arguments": arguments}
        return item | ({"id": f"fc_{id}", "status": "completed"} if self.whole else {}) | self._kept(part)

    def _reasoning(self, entry: dict[str, Any]) -> dict[str, Any]:
        known = {name: entry[name] for name in REASONING if entry.get(name) is not None and name not in self.withheld}
        # The summary may be empty, but never absent.
        return {**known, "summary": known.get("summary", [])}

    def _kept(self, part: Part) -> dict[str, Any]:
        return {name: value for name, value in part.extra.items() if name not in self.withheld}

    def _pieces(self, decision: Decision, text: str) -> Iterator[str]:
        """Yields the text in the pieces in which it came; whole where the pieces do not make it up."""
        lengths = [part.length for part in decision.parts if part.kind == "text"]
        if sum(lengths) + len(JOINT) * (len(lengths) - 1) != len(text):
            lengths = [len(text)]
        start = 0
        for length in lengths:
            if length:
                yield text[start : start + length]
            start += length + len(JOINT)


def _usual(decision: Decision) -> list[Part]:
    """Returns the parts of a decision in the usual order."""
    counts = (len(decision.reasoning), 1, len(decision.calls))
    return [part for part, count in zip(_BARE, counts, strict=True) for _ in range(count)]


def _is_whole(entry: dict[str, Any]) -> bool:
    """Tells whether a reasoning item carries its content; servers refuse one that only names a stored item."""
    return bool(entry.get("encrypted_content") or entry.get("content"))
