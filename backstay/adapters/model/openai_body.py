"""Encodes the body of a request; what is settled of a conversation is encoded once in its life, and kept as bytes.

A run decides by its whole conversation each time: to write all of it for each decision would cost more with every step.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from backstay.contracts.admission import Api
from backstay.contracts.conversation import Decided, ModelRequest

from .dialect import Dialect
from .openai_request import ITEMS, CallIds, WireItems, first_items, frame, is_empty

ID_BYTES = 400
"""The memory that the id of a call takes, in a mapping and in a set."""


@dataclass(slots=True)
class _Kept:
    """The settled beginning of a conversation on the wire: `encoded` has its first `items`, with their calls' `ids`.

    Attributes:
        form: what the bytes depend on beside the conversation.
    """

    form: tuple[Api, Dialect, str, tuple[tuple[str, str], ...]]
    items: int = 0
    encoded: bytearray = field(default_factory=bytearray)
    ids: CallIds = field(default_factory=CallIds)

    @property
    def weight(self) -> int:
        """The bytes of memory that it takes, about."""
        return len(self.encoded) + ID_BYTES * len(self.ids.taken)


def encoded(request: ModelRequest, dialect: Dialect) -> bytes:
    """Returns the whole body of a request.

    Args:
        request: the request to write; what is settled of it is kept in its `written`.
        dialect: how the server wants it.

    Raises:
        ValueError: something in it cannot be written as JSON.
    """
    kept = _kept(request, dialect)
    rest = _entries(WireItems.of(request, dialect, request.conversation[kept.items :], kept.ids).entries())
    start = _dumped({"model": request.model.name})[:-1]
    end = _dumped(frame(request, dialect))[1:]
    between = b"," if kept.encoded and rest else b""
    return b"".join((start, f',"{ITEMS[request.model.api]}":['.encode(), kept.encoded, between, rest, b"],", end))


def _kept(request: ModelRequest, dialect: Dialect) -> _Kept:
    """Returns what is kept of a conversation, with all that is settled by now."""
    offered = tuple((tool.name, tool.shown_as) for tool in request.tools)
    form = (request.model.api, dialect, request.instructions, offered)
    kept, until = request.written.of, _settled(request)
    if not isinstance(kept, _Kept) or kept.form != form:
        kept = _Kept(form, encoded=bytearray(_entries(first_items(request))))
    elif kept.items > until:  # another attempt has gone on from here: what it kept has more than is asked here
        return _Kept(form, encoded=bytearray(_entries(first_items(request))))
    if kept.items < until:
        wire = WireItems.of(request, dialect, request.conversation[kept.items : until], kept.ids)
        more = _entries(wire.entries())
        kept.encoded += b"," + more if kept.encoded and more else more
        kept.ids.by_call.update(wire.ids)
        kept.ids.taken.update(wire.ids.values())
        kept.items = until
    request.written.of, request.written.weight = kept, kept.weight
    return kept


def _settled(request: ModelRequest) -> int:
    """Returns how many items are settled; what comes after them is joined to none of them."""
    for place in range(request.settled, 0, -1):
        item = request.conversation[place] if place < len(request.conversation) else None
        if isinstance(item, Decided) and not is_empty(item):
            return place
    return 0


def _entries(entries: Sequence[dict[str, Any]]) -> bytes:
    return b",".join(map(_dumped, entries))


def _dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
