"""Keeps large payloads outside of Temporal, so that its histories hold only their names and digests."""

import hashlib
import re
from collections.abc import Sequence

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriver,
    StorageDriverActivityInfo,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

from backstay.errors import ArchiveError

from ..archive.place import Place

NAME = "backstay"
"""Stands in histories, so it never changes."""
MOST_BYTES = 50_000_000
SIGN = "payloads-of-backstay"
"""A file that lies in every place that was written to: a place without it is not there now, rather than empty."""
_KEY = "name"
_NAME = re.compile("[0-9a-f]{16}/[0-9a-f]{64}")


class MissingPayloadError(LookupError):
    """Raised when a place has no such payload, or another content under its name."""


class Outside(StorageDriver):
    """A place that all workers and clients share; each payload lies there by its workflow and its SHA-256."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._signed = False

    def name(self) -> str:
        """Returns the name that histories refer to."""
        return NAME

    async def store(self, context: StorageDriverStoreContext, payloads: Sequence[Payload]) -> list[StorageDriverClaim]:
        """Keeps payloads, each whole or not at all.

        Raises:
            ValueError: one is larger than 50 MB.
            ArchiveError: the place does not take it.
        """
        if not self._signed:
            await self._place.put(SIGN, b"")
            self._signed = True
        folder = _folder(context.target)
        return [await self._kept(folder, payload.SerializeToString()) for payload in payloads]

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Reads payloads.

        Raises:
            MissingPayloadError: one is not there, or is not what was written; a claim may be of anybody's making.
            ArchiveError: the place does not answer.
        """
        return [await self._read(claim.claim_data.get(_KEY, "")) for claim in claims]

    async def _kept(self, folder: str, content: bytes) -> StorageDriverClaim:
        if len(content) > MOST_BYTES:
            raise ValueError(f"a payload of {len(content)} bytes is larger than {MOST_BYTES}")
        name = f"{folder}/{hashlib.sha256(content).hexdigest()}"
        await self._place.put(name, content)
        return StorageDriverClaim(claim_data={_KEY: name})

    async def _read(self, name: str) -> Payload:
        if not _NAME.fullmatch(name):
            raise MissingPayloadError("its name is none of ours")
        try:
            content = await self._place.get(name)
        except ArchiveError:
            await self._place.get(SIGN)
            if name in await self._place.names(name.partition("/")[0]):
                raise
            raise MissingPayloadError(f"there is no `{name}`: it was deleted too soon") from None
        if hashlib.sha256(content).hexdigest() != name.partition("/")[2]:
            raise MissingPayloadError(f"`{name}` holds something else")
        return Payload.FromString(content)


def _folder(target: StorageDriverActivityInfo | StorageDriverWorkflowInfo | None) -> str:
    """Returns a folder for the payloads of one workflow, so that they can be deleted when it is forgotten."""
    whose = f"{target.namespace}/{target.id}" if target else ""
    return hashlib.sha256(whose.encode()).hexdigest()[:16]
