"""Writes the summaries of activities for the Temporal UI: step, call or model, verdict and cost.

INVARIANT: what a model or a caller wrote goes through `inert`: the UI renders Markdown.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backstay.contracts.decision import ProposedCall
from backstay.kernel.arguments import Unreadable
from backstay.kernel.markdown import inert
from backstay.kernel.money import format_usd
from backstay.kernel.standing import Use
from backstay.kernel.verdict import Outcome, Verdict

_CALL = 180
_VALUE = 60
_NAMES = 3
_BYTES = 400
"""The most that the server takes as a summary."""


@dataclass(frozen=True, slots=True)
class CallTold:
    """A call of the last decision as people read it: the call, its verdict, and how it ended, once it has."""

    tool: str
    call: str
    verdict: str
    refused: bool
    status: str | None = None
    grant: str | None = None
    """The standing grant that let it through, in words."""

    @classmethod
    def of(cls, call: ProposedCall, verdict: Verdict) -> "CallTold":
        """Returns a call that was just judged."""
        return cls(call.tool, call_words(call), verdict_words(verdict), verdict.outcome is Outcome.DENY)

    @property
    def line(self) -> str:
        """The call on one line."""
        return " · ".join([self.call, self.verdict, *([self.status] if self.status else [])])


def call_words(call: ProposedCall) -> str:
    """Returns a call on one line, its arguments shortened."""
    arguments = call.parsed
    inside = "…" if isinstance(arguments, Unreadable) else ", ".join(_argument(k, v) for k, v in arguments.items())
    return inert(_cut(f"{call.tool}({inside})", _CALL))


def verdict_words(verdict: Verdict) -> str:
    """Returns a verdict in words: allowed, denied by a rule, or needs approval."""
    rules = names_words(verdict.rules) or verdict.code.value
    match verdict.outcome:
        case Outcome.ALLOW:
            return "allowed"
        case Outcome.DENY:
            return f"denied ({rules})"
        case Outcome.REQUIRE_APPROVAL:
            return f"needs approval ({rules})"


def grant_words(use: Use) -> str:
    """Says by which standing grant a call is let through, who gave it, and how often it was used with this."""
    return f"let through by grant {use.grant_id} of {use.by}, {use.number} of {use.uses} used"


def names_words(names: Sequence[str]) -> str:
    """Returns some names on one line, and how many are left out."""
    more = [f"{len(names) - _NAMES} more"] if len(names) > _NAMES else []
    return ", ".join([*(inert(_cut(name, _VALUE)) for name in names[:_NAMES]), *more])


def spent_words(usd: int) -> str:
    """Returns what the run has spent so far, in micro-dollars, as words."""
    return f"{format_usd(usd)} USD so far"


def summary(*parts: str) -> str:
    """Joins what is said about an activity, leaving out at the end what the server would refuse as too long."""
    told = _short(parts[0])
    for part in parts[1:]:
        if len((longer := f"{told} · {part}").encode()) > _BYTES:
            break
        told = longer
    return told


def _short(text: str) -> str:
    return text if len(text.encode()) <= _BYTES else text.encode()[: _BYTES - 3].decode(errors="ignore") + "…"


def _argument(name: str, value: Any) -> str:
    shown = repr(value) if isinstance(value, str | int | float | bool | None) else _json(value)
    return f"{_cut(name, _VALUE)}={_cut(shown, _VALUE)}"


def _json(value: Mapping[str, Any] | list[Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
