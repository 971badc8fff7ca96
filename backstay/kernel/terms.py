"""The terms of a standing grant: what a person wants to allow, within what the rules that asked allow."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .approval import Approval, ApprovalKind, Refusal

_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Terms:
    """Holds the wished terms: uses, end, caps of meters in ten-thousandths; None is the most that rules allow."""

    uses: int | None = None
    until_ms: int | None = None
    exposure: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class Agreed:
    """Holds the granted terms."""

    uses: int
    until_ms: int
    exposure: Mapping[str, int]


def agreed(terms: Terms, approval: Approval, now_ms: int) -> Agreed | Refusal:
    """Returns what a yes to an approval grants beyond it, or why it may grant nothing."""
    if refusal := _refuses(approval):
        return Refusal("NotGrantable", f"{refusal}: leave `grant` out, and answer each call")
    offered = approval.grantable
    if offered is None:
        return Refusal("NotGrantable", "a rule that asks allows no standing grant: leave `grant` out")
    most_ms = now_ms + offered.cap.hours * _HOUR_MS
    until_ms = most_ms if terms.until_ms is None else terms.until_ms
    uses = offered.cap.uses if terms.uses is None else terms.uses
    caps = f"the rules that ask allow {offered.cap.uses} uses and {offered.cap.hours} hours"
    if uses > offered.cap.uses:
        return Refusal("GrantTooWide", f"{uses} uses are too many: {caps}")
    if until_ms > most_ms:
        return Refusal("GrantTooWide", f"the grant would hold too long: {caps}")
    if until_ms <= now_ms:
        return Refusal("GrantOver", "the grant would end before it begins: name a later `until`")
    unknown = sorted(set(terms.exposure) - set(approval.exposure))
    if unknown:
        known = ", ".join(f"`{name}`" for name in sorted(approval.exposure)) or "none"
        return Refusal("UnknownMeter", f"the call adds to no meter `{unknown[0]}`; it adds to {known}")
    return Agreed(uses, until_ms, terms.exposure)


def _refuses(approval: Approval) -> str | None:
    if approval.kind is not ApprovalKind.ACTION:
        return "only an approval that rules ask for can be granted on"
    if approval.required != 1:
        return f"{approval.required} people must say yes to each of these calls"
    if approval.editors:
        return "a person changed the arguments of this call"
    return None
