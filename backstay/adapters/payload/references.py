"""Follows references to payloads that lie in external storage; anybody may send one that leads nowhere.

The two methods are steps of the SDK's own reading (temporalio 1.35) and stand in no public interface of it. A reference
that cannot be followed raises there, and an error where a workflow reads fails its task, which Temporal retries for
ever.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter

from backstay.errors import ArchiveError, CodecError

from .tolerant import REFUSED

Step = Callable[[Sequence[Payload]], Awaitable[list[Payload]]]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReferringConverter(DataConverter):
    """A converter that names a reference which leads nowhere, or, for a worker, leaves it unreadable.

    A storage that cannot be reached now is an error for both: the engine tries again.
    """

    lenient: bool = False

    async def _decode_reference_payload_sequence(self, payloads: Sequence[Payload]) -> list[Payload]:
        return await self._followed(super()._decode_reference_payload_sequence, payloads)

    async def _external_retrieve_payload_sequence(self, payloads: Sequence[Payload]) -> list[Payload]:
        return await self._followed(super()._external_retrieve_payload_sequence, payloads)

    async def _followed(self, step: Step, payloads: Sequence[Payload]) -> list[Payload]:
        try:
            return await step(payloads)
        except Exception:  # one by one: a good one beside a bad one is read
            return [await self._one(step, payload) for payload in payloads]

    async def _one(self, step: Step, payload: Payload) -> Payload:
        try:
            return (await step([payload]))[0]
        except Exception as error:
            if self.lenient and not _passes(error):
                _log.error(
                    "a payload lies in external storage and cannot be had, so it is taken as unreadable: %s", error
                )
                return Payload(metadata={"encoding": REFUSED})
            raise CodecError(f"a payload lies in external storage and cannot be had: {error}") from error


def _passes(error: BaseException | None) -> bool:
    """Tells whether a storage may answer later: it, or what it stands on, could not be reached."""
    while error is not None:
        if isinstance(error, ArchiveError | OSError):  # a time limit is an OSError too
            return True
        error = error.__cause__
    return False
