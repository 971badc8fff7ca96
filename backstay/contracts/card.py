"""Writes the card of an approval: what people read before they answer, in every place the same.

INVARIANT: no line of a card steers its reader, and no command to approve stands beside a call that is not whole,
unless it names the digest of the call.
"""

import shlex
from collections.abc import Sequence

from backstay.kernel.characters import escaped
from backstay.kernel.excerpt import LINES, SHOWN, Excerpt, excerpts, on_one_line
from backstay.kernel.ledger_period import Period
from backstay.kernel.origins import MORE, TOOL

from .approval import PendingApproval
from .exposure import ShownExposure, ShownSum
from .standing import GrantCap

_PEOPLE = 20
_SHORT = 60
_QUOTES = 3
_SAID = {
    "user": "named in the request",
    "person": "put there by a person",
    "record": "in a record that the request names",
    "document": "the only one of its kind in a document that the request names",
    "model": "made up or computed by the model",
    "trusted": "",
}


def arguments_of(approval: PendingApproval, shown: int = SHOWN) -> list[Excerpt]:
    """Returns the arguments in the order in which people read them; those that a memo cut are not whole."""
    cut = {name.removeprefix("args.") for name in approval.cut if name.startswith("args.")}
    found = excerpts({name: value for name, value in approval.args.items() if name not in cut}, shown)
    for name in sorted(cut)[:LINES]:
        text = str(approval.args.get(name, "(not shown here)"))
        found.append(Excerpt(on_one_line(name), on_one_line(text), whole=False))
    return found


def origins_of(approval: PendingApproval) -> list[str]:
    """Says of each argument where its value comes from, one line each; nothing where no rule reads that."""
    named = list(approval.sources.items())[:LINES]
    told = [(name, words, approval.copied.get(name, []), approval.within.get(name, [])) for name, words in named]
    return [f"{on_one_line(name)}: {origin_words(words, quotes, within)}" for name, words, quotes, within in told]


def origin_words(words: Sequence[str], quotes: Sequence[str] = (), within: Sequence[str] = ()) -> str:
    """Spells out on one line where a value comes from, what it copies, and in which fields with a label it stands."""
    said = [text for word in words if (text := _word(word))]
    fields = ", ".join(on_one_line(word.removeprefix(TOOL)) for word in within)
    where = (", ".join(said) or "from several places") + (f" ({fields})" if fields else "")
    return where + ("" if "user" in words else "; not in the request") + _quoted(quotes)


def _word(word: str) -> str:
    kind, _, name = word.partition(":")
    if word == MORE:
        return "in further fields of results"
    if name:
        return f"in the register {on_one_line(name)}" if kind == "config" else f"in a result, {on_one_line(name)}"
    return _SAID.get(word, f"in a result that is {on_one_line(word)}")


def _quoted(quotes: Sequence[str]) -> str:
    shown = ", ".join(f'"{on_one_line(quote)}"' for quote in quotes[:_QUOTES])
    return f"; copied: {shown}" if shown else ""


def is_whole(approval: PendingApproval) -> bool:
    """Tells whether a card shows the whole call."""
    return all(one.whole for one in arguments_of(approval))


def call_of(approval: PendingApproval, length: int) -> str:
    """Spells the call on one line of about `length` characters, as `issue_refund(amount=120, order_id="A17")`."""
    parts: list[str] = []
    found = arguments_of(approval, _SHORT)
    for one in found:
        if parts and sum(map(len, parts)) + len(one.text) > length:
            parts.append(f"… {len(found) - len(parts)} more")
            break
        parts.append(f"{one.name}={one.text}")
    asks = "what became of " if approval.kind == "outcome_unknown" else ""
    return f"{asks}{on_one_line(approval.tool)}({', '.join(parts)})"


def as_json(arguments: list[Excerpt]) -> str:
    """Spells arguments as one JSON object, which is the whole one only where each of them is whole."""
    names = (one.name if one.name.startswith('"') else f'"{one.name}"' for one in arguments)
    return f"{{{', '.join(f'{name}: {one.text}' for name, one in zip(names, arguments, strict=True))}}}"


def command(run_id: str, approval: PendingApproval) -> str:
    """Returns the command that answers the approval; with the call's digest, where the card shows the call in part."""
    verb, said = ("approve", "") if approval.releases else ("answer", " happened")
    if approval.kind == "question":
        said = " 'YOUR ANSWER'"
    digest = "" if is_whole(approval) else f" --digest {shlex.quote(escaped(approval.digest))}"
    return f"backstay {verb} {shlex.quote(escaped(run_id))}{said} {shlex.quote(escaped(approval.approval_id))}{digest}"


def background(approval: PendingApproval) -> list[tuple[str, str]]:
    """Returns what stands beside the call, as labels and texts: who asks and for whom, and what happened before."""
    asker = f"agent {approval.agent} · tenant {approval.tenant}" if approval.agent else "-"
    asked_by = f"{approval.requested_by} (a claim)" if approval.requested_by else "nobody named"
    before = [f"{one.call} by {listed(one.answered_by)}" for one in approval.approved_before]
    return [
        ("for", on_one_line(asker)),
        *([("child of", on_one_line(approval.parent))] if approval.parent else []),
        (
            "asked for by",
            on_one_line(asked_by),
        ),
        ("taint", listed(approval.taint) or "none"),
        ("spent so far", f"{on_one_line(approval.spent_usd)} USD"),
        *([("exposure", _exposure(approval.exposure))] if approval.exposure else []),
        ("approved before", " · ".join([str(approval.approved), *before]) if approval.approved else "nothing"),
        ("may answer", listed(approval.approvers) or "-"),
        ("rules", listed(approval.rules) or "-"),
        *([("may be granted", _grantable(approval.grantable))] if approval.grantable else []),
        ("digest", on_one_line(approval.digest)),
    ]


def text_of(approval: PendingApproval) -> str:
    """Returns the card as plain lines, for notices."""
    lines = [f"call: {on_one_line(approval.tool)}", *(f"  {one.line}" for one in arguments_of(approval))]
    lines += [f"from: {line}" for line in origins_of(approval)]
    lines += [f"why: {on_one_line(reason)[: 5 * SHOWN]}" for reason in approval.reasons]
    lines += [f"{label}: {text}" for label, text in background(approval)]
    who = f"{approval.required} of {listed(approval.groups)}, until {approval.expires_at}"
    return "\n".join([*lines, f"waits for: {who}", f"command: {command(approval.run_id, approval)}"])


def _grantable(cap: GrantCap) -> str:
    """Says how a yes may let further calls like it through."""
    return f"up to {cap.uses} more for {cap.hours} h: --grant uses={cap.uses} --grant until={cap.hours}h"


def listed(names: list[str]) -> str:
    """Writes names on one line, the first twenty of them."""
    more = f" and {len(names) - _PEOPLE} more" if len(names) > _PEOPLE else ""
    return ", ".join(map(on_one_line, names[:_PEOPLE])) + more


def _exposure(shown: dict[str, ShownExposure]) -> str:
    """Writes the sums of each meter before and after the call on one line."""
    parts: list[str] = []
    for name, one in list(shown.items())[:LINES]:
        parts.append(_sum(on_one_line(name), one))
        parts += [_sum(f"this {period}", found) for period in Period if (found := getattr(one, period.value))]
    return " · ".join(parts)


def _sum(label: str, one: ShownSum) -> str:
    limit = "no limit" if one.limit is None else f"the limit is {on_one_line(one.limit)}"
    return f"{label}: {on_one_line(one.before)} before, {on_one_line(one.after)} with this call, {limit}"
