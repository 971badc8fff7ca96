"""Reads payloads: what somebody sends to a run may be anything, and must not stop the run's own task."""

from collections.abc import Sequence
from typing import Any, Final

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter


class Unreadable:
    """Stands for a payload that is no JSON; it fits no shape, so that whoever reads it refuses it."""


UNREADABLE: Final = Unreadable()


class TolerantPayloadConverter(PydanticPayloadConverter):
    """Reads untyped payloads even where they cannot be read.

    A start or a message whose payload raised here would fail the workflow task, which the engine tries again for ever.
    Typed payloads, such as the results of our own activities, raise as they always did.
    """

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """The values of some payloads; one without a type that cannot be read is `UNREADABLE`."""
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
