"""Reads the bill in a reply: what was billed, never too little, or nothing where the figures cannot be believed."""

from dataclasses import dataclass

from backstay.contracts.decision import BilledUsage, Decision

from .openai_errors import fields_of

_MAX_TOKENS = 10**15


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the two main figures in one API."""

    read: str
    written: str


CHAT = Names("prompt_tokens", "completion_tokens")
RESPONSES = Names("input_tokens", "output_tokens")


def read_usage(value: object, names: Names, decision: Decision) -> BilledUsage | None:
    """Returns the bill of a reply, or None where it cannot be believed; the caller then settles at the hold.

    Some servers report reasoning beside the output instead of inside it, or only in the total. The output is the
    largest that the figures support: the output itself, the total less the input, or output and reasoning together
    where reasoning alone exceeds the output. A request that was answered has read something, and a reply with text or
    calls has written something.

    Args:
        value: the reply's `usage`, as it came.
        names: the names of its main figures.
        decision: what the reply says.
    """
    report = fields_of(value)
    read, written = _count(report.get(names.read)), _count(report.get(names.written))
    cached = _detail(report, f"{names.read}_details", "cached_tokens")
    inside = _detail(report, f"{names.written}_details", "reasoning_tokens")
    beside = _optional(report, "reasoning_tokens")
    if read is None or written is None or cached is None or inside is None or beside is None:
        return None
    total = read + written if report.get("total_tokens") is None else _count(report["total_tokens"])
    if total is None or total < read + written or cached > read:
        return None
    reasoning = max(inside, beside)
    output = max(total - read, written + reasoning if reasoning > written else 0)
    if read == 0 or (output == 0 and (decision.text or decision.calls)):
        return None
    return BilledUsage(input_tokens=read, output_tokens=output, cached_tokens=cached)


def _detail(report: dict[str, object], table: str, name: str) -> int | None:
    if not isinstance(report.get(table), dict | None):
        return None
    return _optional(fields_of(report.get(table)), name)


def _optional(fields: dict[str, object], name: str) -> int | None:
    """Returns a figure that may be left out, then 0; None where it is there and is no count."""
    value = fields.get(name)
    return 0 if value is None else _count(value)


def _count(value: object) -> int | None:
    # `isinstance` would accept a bool as an int.
    return value if type(value) is int and 0 <= value <= _MAX_TOKENS else None
