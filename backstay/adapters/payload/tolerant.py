"""Reads payloads without failing on unreadable ones, because anybody may send anything to a run."""

from collections.abc import Sequence
from typing import Any, Final

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter


class Unreadable:
    """A stand-in for a payload that is not JSON; it matches no model, so validation refuses it."""


UNREADABLE: Final = Unreadable()


class TolerantPayloadConverter(PydanticPayloadConverter):
    """A converter that returns `UNREADABLE` for an untyped payload it cannot read.

    An error here would fail the workflow task, which Temporal retries for ever. Typed payloads, such as results of our
    own activities, still raise.
    """

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """Reads the values; an unreadable one without a type hint is `UNREADABLE`."""
        hints: list[Any] = list(type_hints or [])
        hints += [Any] * (len(payloads) - len(hints))
        return [self._value(payload, hint) for payload, hint in zip(payloads, hints, strict=False)]

    def _value(self, payload: Payload, hint: Any) -> Any:
        typed = [] if hint in (Any, None) else [hint]
        try:
            return super().from_payloads([payload], typed or None)[0]
        except Exception:
            if typed:
                raise
            return UNREADABLE
