"""The ports of evidence: what a run has recorded, and the place outside of the engine that keeps it."""

from collections.abc import Sequence
from typing import Any, Protocol

from backstay.contracts.archive import Archived, Segment
from backstay.contracts.history import RunRef


class Evidence(Protocol):
    """Rebuilds the records of runs from their histories."""

    async def records(self, run: RunRef, after: int, until: int) -> Sequence[dict[str, Any]]:
        """Reads audit records by number, after one and up to another.

        Raises:
            RunError: nobody answers for the run now.
        """
        ...

    async def items(self, run: RunRef, after: int, until: int) -> Sequence[dict[str, Any]]:
        """Reads items of the transcript by number, after one and up to another.

        Raises:
            RunError: nobody answers for the run now.
        """
        ...


class Archive(Protocol):
    """A place outside of the engine; what it has taken is never written over."""

    async def keep(self, segment: Segment) -> Archived:
        """Signs a part of a run's evidence and keeps it; once more does no harm.

        Raises:
            ArchiveError: the place did not take it; worth a retry.
        """
        ...
