"""Reads payloads without failing on unreadable ones, because anybody may send anything to a run."""

from collections.abc import Sequence
from typing import Any, Final

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter

ENCRYPTED: Final = b"binary/encrypted"
"""The encoding of payloads that are encrypted; where there are keys, none gets here."""


REFUSED: Final = b"binary/refused"
"""The encoding of payloads that a worker refuses to read."""


class Unreadable:
    """A stand-in for a payload that is not JSON; it matches no model, so validation refuses it."""


UNREADABLE: Final = Unreadable()


class TolerantPayloadConverter(PydanticPayloadConverter):
    """A converter that returns `UNREADABLE` for an untyped payload it cannot read; for a typed one it raises.

    `CodecError` where it is encrypted.

    An error where a workflow reads would fail the workflow task, which Temporal retries for ever.
    """

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """Reads the values; an unreadable one without a type hint is `UNREADABLE`."""
        hints: list[Any] = list(type_hints or [])
        hints += [Any] * (len(payloads) - len(hints))
        return [self._value(payload, hint) for payload, hint in zip(payloads, hints, strict=False)]

    def _value(self, payload: Payload, hint: Any) -> Any:
        if hint not in (Any, None):
            return self._typed(payload, hint)
        try:
            return super().from_payloads([payload])[0]
        except Exception:
            return UNREADABLE

    def _typed(self, payload: Payload, hint: type) -> Any:
        if payload.metadata.get("encoding") == ENCRYPTED:
            from backstay.errors import CodecError  # only where it is needed: every workflow loads this

            raise CodecError("a payload is encrypted, and this process has no `BACKSTAY_CODEC_KEYS`")
        return super().from_payloads([payload], [hint])[0]


class WorkerPayloadConverter(TolerantPayloadConverter):
    """A worker's converter, for which an unreadable payload with a type is `UNREADABLE` too.

    Only activities have types: the run takes the activity as lost, and the activity refuses its input.
    """

    def _typed(self, payload: Payload, hint: type) -> Any:
        try:
            return super()._typed(payload, hint)
        except Exception:
            return UNREADABLE
