"""Reads the bill in a reply: what was billed, never too little, or nothing where the figures cannot be believed."""

from dataclasses import dataclass

from backstay.contracts.decision import BilledUsage, Decision

from .openai_figures import count_of, figures_of
from .reported import bills_in, fields_of

_READ = ("prompt_tokens", "input_tokens")
_WRITTEN = ("completion_tokens", "output_tokens")
_READ_BESIDE = "cache_read_input_tokens"
_STORED_BESIDE = "cache_creation_input_tokens"
_DEAR = ("audio_tokens", "image_tokens", "video_tokens")
_UNTOLD = Decision(text="not told")


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the two main figures in one API."""

    read: str
    written: str


CHAT = Names(_READ[0], _WRITTEN[0])
RESPONSES = Names(_READ[1], _WRITTEN[1])


def read_usage(value: object, names: Names, decision: Decision) -> BilledUsage | None:
    """Returns the bill of a reply, or None where it cannot be believed; the caller then settles at the hold.

    Some servers report reasoning beside the output instead of inside it, under names of their own, or only in the
    total; some use the names of both APIs. The output is the largest that the figures support: the largest output, the
    total less the input, or the output and every part that is larger and so cannot be inside it. A request that was
    answered has read something, and a reply with text or calls has written something.

    Args:
        value: the reply's `usage`, as it came.
        names: the names of its main figures.
        decision: what the reply says.
    """
    report = fields_of(value)
    figures = figures_of(report)
    read, written = (_main(report, name) for name in ((names.read, *_READ), (names.written, *_WRITTEN)))
    kinds = _kinds(report)
    if read is None or written is None or kinds is None or figures.odd:
        return None
    read += _beside(report, names, kinds)
    if figures.total is None:
        read += figures.tools
    total = read + written if figures.total is None else figures.total
    if total < read + written or max(kinds.cached, figures.read) > read:
        return None
    output = max(total - read, written + figures.beyond(read, written))
    if read == 0 or (output == 0 and (decision.text or decision.calls)):
        return None
    if kinds.stored + kinds.dear_read > read or kinds.dear_written > max(total - read, written):
        return None
    return BilledUsage(
        input_tokens=read,
        output_tokens=output,
        # A token may be of several kinds at once, and then counts as the dearest.
        cached_tokens=min(kinds.cached, read - kinds.stored - kinds.dear_read),
        written_tokens=kinds.stored,
        dear_input_tokens=kinds.dear_read,
        dear_output_tokens=kinds.dear_written,
        usd=figures.usd,
    )


def bill_of_error(body: object) -> BilledUsage | None:
    """Returns the largest bill in the body of an error, in the names of either API; None where none can be believed."""
    read = (read_usage(report, names, _UNTOLD) for report in bills_in(body) for names in (CHAT, RESPONSES))
    bills = [bill for bill in read if bill is not None]
    return max(bills, key=lambda bill: (bill.usd, bill.output_tokens, bill.input_tokens), default=None)


def _main(report: dict[str, object], names: tuple[str, ...]) -> int | None:
    """Returns a main figure: the largest of those under its names; None where its own name has none."""
    if count_of(report.get(names[0])) is None:
        return None
    return _most([_optional(report, name) for name in names])


@dataclass(frozen=True, slots=True)
class _Kinds:
    """Figures for the kinds of tokens: read from a cache, stored in one, and of a dearer kind."""

    cached: int
    stored: int
    dear_read: int
    dear_written: int


def _kinds(report: dict[str, object]) -> _Kinds | None:
    """Reads the kinds of tokens; None where a figure is no count."""
    cached = [*_details(report, _READ, "cached_tokens"), _optional(report, _READ_BESIDE)]
    stored = [*_details(report, _READ, "cache_write_tokens"), *_details(report, _READ, "cache_creation_tokens")]
    stored.append(_optional(report, _STORED_BESIDE))
    dear_read = [_details(report, _READ, name) for name in _DEAR]
    dear_written = [_details(report, _WRITTEN, name) for name in _DEAR]
    for_an_hour = _detail(report, "cache_creation", "ephemeral_1h_input_tokens")
    if any(None in figures for figures in (cached, stored, [for_an_hour], *dear_read, *dear_written)):
        return None
    hour = for_an_hour or 0
    return _Kinds(
        cached=_most(cached),
        stored=max(0, _most(stored) - hour),
        dear_read=sum(map(_most, dear_read)) + hour,
        dear_written=sum(map(_most, dear_written)),
    )


def _beside(report: dict[str, object], names: Names, kinds: _Kinds) -> int:
    """Returns the input that is reported beside the main figure: Anthropic's own names count only fresh tokens there.

    A server that gives a total says by it how it counts.
    """
    named = _READ_BESIDE in report or _STORED_BESIDE in report
    if not named or names != RESPONSES or report.get("total_tokens") is not None:
        return 0
    return kinds.cached + kinds.stored + (_detail(report, "cache_creation", "ephemeral_1h_input_tokens") or 0)


def _most(figures: list[int | None]) -> int:
    return max(figure or 0 for figure in figures)


def _details(report: dict[str, object], tables: tuple[str, ...], name: str) -> list[int | None]:
    """Returns a figure from the details of each main figure, by the names of either API."""
    return [_detail(report, f"{table}_details", name) for table in tables]


def _detail(report: dict[str, object], table: str, name: str) -> int | None:
    if not isinstance(report.get(table), dict | None):
        return None
    return _optional(fields_of(report.get(table)), name)


def _optional(fields: dict[str, object], name: str) -> int | None:
    """Returns a figure that may be left out, then 0; None where it is there and is no count."""
    value = fields.get(name)
    return 0 if value is None else count_of(value)
