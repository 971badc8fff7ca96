"""The activity that writes the evidence of a run to the archive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from backstay.kernel.audit import AuditHead

from .history import RunRef
from .problems import Contract

Count = Annotated[int, Field(ge=0, strict=True)]


class ArchiveInput(Contract):
    """Names the part of a run's evidence to write: records after `start` up to `head`, items of the transcript too.

    `last` says that the run ends with it.
    """

    start: AuditHead
    head: AuditHead
    items_start: Count
    items: Count
    last: bool = False


class Archived(Contract):
    """The archive's answer: the id of the key that signed, None where none did, and the name of what was written."""

    key: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the evidence of one execution of a run; `at` is when it was read, in RFC 3339."""

    run: RunRef
    agent: str
    tenant: str
    at: str
    given: ArchiveInput
    records: Sequence[Mapping[str, Any]]
    items: Sequence[Mapping[str, Any]]
