"""The file of an exported audit: JSON Lines in which every byte counts, so that any change of it shows.

Each run has a section: a line that says what follows, its records, and a line with their head. The first line holds its
own hash, the records are a chain, and each line has one spelling. It also names the sections that must follow.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from .audit import AuditHead, Broken, canonical, verify

SCHEMA = "backstay.audit/1"
_CUT = "the file ends here, and more must follow"
_SPELLING = "the line is not spelled as it was written"


class Signer(Protocol):
    """A private key that signs; `key` is its id, `public` the public key in base64."""

    @property
    def key(self) -> str:
        """The id of the key."""
        ...

    @property
    def public(self) -> str:
        """The public key in base64."""
        ...

    def sign(self, data: bytes) -> str:
        """Signs bytes; returns the signature in base64."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """A signature that somebody has to check: the key's id, the public key, the signed bytes and the signature."""

    key: str
    public: str
    signed: bytes
    signature: str


@dataclass(frozen=True, slots=True)
class Trail:
    """The audit of one run: its records lead from `start` to `head`.

    `kind` is the workflow's type, `executions` are the engine's ids of the links of its chain. `then` names the trails
    that follow this one: of the runs that it started, or of the next link. `after` is the one that names this one.
    """

    run_id: str
    kind: str
    head: AuditHead
    records: Sequence[Mapping[str, Any]]
    start: AuditHead = field(default_factory=AuditHead)
    executions: tuple[str, ...] = ()
    then: tuple[str, ...] = ()
    after: str | None = None
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A trail as a file has it, and the signature over it, where it is signed."""

    trail: Trail
    claim: Claim | None = None


@dataclass(frozen=True, slots=True)
class Flaw:
    """The first line that is not as it was written, the record in it where it is one, and what is wrong."""

    line: int
    problem: str
    seq: int | None = None


def line_of(value: Mapping[str, Any]) -> bytes:
    """Returns an object as a line of a file, in its one spelling."""
    return canonical(value).encode("utf-8", "surrogatepass") + b"\n"


def object_of(line: bytes) -> dict[str, Any] | None:
    """Reads a line without its end; None where it is no object, or is spelled in another way than `line_of` does."""
    try:
        value: object = json.loads(line.decode("utf-8", "surrogatepass"))
        if not isinstance(value, dict):
            return None
        found = cast("dict[str, Any]", value)
        return found if line_of(found)[:-1] == line else None
    except (ValueError, RecursionError):
        return None


def hashed(value: Mapping[str, Any]) -> str:
    """Returns the hash of an object's one spelling."""
    return "sha256:" + hashlib.sha256(line_of(value)[:-1]).hexdigest()


def written(trail: Trail, signer: Signer | None) -> bytes:
    """Returns the section of a trail."""
    header: dict[str, Any] = {
        "schema": SCHEMA,
        "run_id": trail.run_id,
        "workflow": trail.kind,
        "executions": list(trail.executions),
        "then": list(trail.then),
        "after": trail.after,
        "closed": trail.closed,
        "start": _spelled(trail.start),
        **_spelled(trail.head),
        **({"key": signer.key, "public": signer.public} if signer else {}),
    }
    header["hash"] = hashed(header)
    trailer: dict[str, Any] = _spelled(trail.head)
    if signer:
        trailer["signature"] = signer.sign(_signed(header))
    return b"".join(line_of(one) for one in (header, *trail.records, trailer))


def read(data: bytes) -> list[Section] | Flaw:
    """Reads a file, and checks all of it but its signatures; returns the first flaw where there is one."""
    *lines, rest = data.split(b"\n")
    sections: list[Section] = []
    wanted: list[tuple[str, str | None]] = []
    at = 0
    while at < len(lines):
        found = _section(lines, at)
        if isinstance(found, Flaw):
            return found
        trail = found.trail
        if not sections and trail.after is not None:
            return Flaw(1, "the run that started it, or the link before it, must stand here")
        if sections and (not wanted or wanted.pop() != (trail.run_id, trail.after)):
            return Flaw(at + 1, "the run that must follow here is another one, or none")
        wanted += [(one, trail.run_id) for one in reversed(trail.then)]
        sections.append(found)
        at += len(trail.records) + 2
    if rest or wanted or not sections:
        return Flaw(len(lines) + 1, _CUT if not rest else "the last line has no end")
    return sections


def _section(lines: Sequence[bytes], at: int) -> Section | Flaw:
    header = object_of(lines[at])
    trail = _trail(header) if header else None
    if header is None or trail is None:
        return Flaw(at + 1, "it does not say what follows, or was changed")
    head, records = trail.start, list[Mapping[str, Any]]()
    while head.records < trail.head.records:
        line, seq = at + len(records) + 1, head.records + 1
        if line >= len(lines):
            return Flaw(line + 1, _CUT, seq)
        record = object_of(lines[line])
        if record is None:
            return Flaw(line + 1, _SPELLING, seq)
        found = verify([record], head)
        if isinstance(found, Broken):
            return Flaw(line + 1, found.problem, found.seq)
        head = found
        records.append(record)
    line = at + len(records) + 1
    if line >= len(lines):
        return Flaw(line + 1, _CUT)
    trailer = object_of(lines[line])
    if trailer is None:
        return Flaw(line + 1, _SPELLING)
    return _ended(header, trailer, trail, head, records) or Flaw(line + 1, "the head is not that of the records")


def _ended(
    header: Mapping[str, Any],
    trailer: Mapping[str, Any],
    trail: Trail,
    head: AuditHead,
    records: list[Mapping[str, Any]],
) -> Section | None:
    claim = None
    rest = {key: value for key, value in trailer.items() if key != "signature"}
    if "key" in header:
        claim = Claim(str(header["key"]), str(header.get("public")), _signed(header), str(trailer.get("signature")))
    if rest != _spelled(head) or head != trail.head or (claim is None) != ("signature" not in trailer):
        return None
    whole = Trail(
        trail.run_id,
        trail.kind,
        head,
        records,
        trail.start,
        trail.executions,
        trail.then,
        trail.after,
        trail.closed,
    )
    return Section(whole, claim)


def _trail(header: Mapping[str, Any]) -> Trail | None:
    """Reads what a header says of the records that follow; None where it was changed, or is none."""
    body = {key: value for key, value in header.items() if key != "hash"}
    if header.get("schema") != SCHEMA or header.get("hash") != hashed(body):
        return None
    try:
        return Trail(
            run_id=_text(header["run_id"]),
            kind=_text(header["workflow"]),
            head=head_of(header),
            records=(),
            start=head_of(header["start"]),
            executions=tuple(_text(one) for one in header["executions"]),
            then=tuple(_text(one) for one in header["then"]),
            after=None if header["after"] is None else _text(header["after"]),
            closed=header["closed"] is True,
        )
    except (KeyError, TypeError, ValueError):
        return None


def head_of(spelled: Mapping[str, Any]) -> AuditHead:
    """Reads a head.

    Raises:
        ValueError: the values are not those of a head.
        KeyError: one of them is missing.
    """
    records = spelled["records"]
    if type(records) is not int or records < 0:
        raise ValueError("a head counts its records")
    return AuditHead(records, _text(spelled["head"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is missing")
    return value


def _spelled(head: AuditHead) -> dict[str, Any]:
    return {"records": head.records, "head": head.head}


def _signed(header: Mapping[str, Any]) -> bytes:
    """Returns what is signed: the header's hash binds all that it says, the head binds the records."""
    signed = {"schema": SCHEMA, "header": header["hash"], "records": header["records"], "head": header["head"]}
    return line_of(signed)[:-1]
