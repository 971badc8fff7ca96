"""Shows what a candidate decides otherwise in past runs, and which calls nobody knows of."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.text import Text

from backstay.checks.against_past import Tried
from backstay.checks.past_runs import Unread
from backstay.kernel.excerpt import on_one_line
from backstay.kernel.verdict import Outcome, Verdict

from .columns import Columns

NAMED = 10
"""The most calls that people are told for one reason."""
_STYLE = {Outcome.ALLOW: "green", Outcome.DENY: "red", Outcome.REQUIRE_APPROVAL: "yellow"}


def as_json(tried: Sequence[Tried], changed: Sequence[Tried], unread: Iterable[Unread] = ()) -> dict[str, Any]:
    """Returns the report for programs.

    Args:
        tried: all calls.
        changed: those that are decided otherwise, in their order.
        unread: the runs, and the parts of an archive, that cannot be read.
    """
    unknown = [one for one in tried if one.now is None]
    return {
        "calls": len(tried),
        "changed": [_changed(one, one.now) for one in changed if one.now is not None],
        "deny_to_allow": sum(one.opens for one in changed),
        "unknown": len(unknown),
        "why_unknown": [{**_call(one), "was": one.was.outcome.value, "why": one.why} for one in unknown],
        "unread": [{"name": one.name, "why": one.why} for one in unread],
    }


def table(changed: Iterable[Tried]) -> Columns:
    """Shows the calls that are decided otherwise, a line each."""
    columns = Columns(("run", "step", "tool", "was", "now", "by"), ("step",))
    for one in changed:
        if one.now is not None:
            by = ", ".join(map(on_one_line, one.now.rules)) or "no rule permits it"
            run, tool = on_one_line(one.run_id), on_one_line(one.tool)
            columns.add(run, str(one.step), tool, _outcome(one.was), _outcome(one.now), by)
    return columns


def doubts(tried: Iterable[Tried], unread: Iterable[Unread] = ()) -> list[str]:
    """Says which calls nobody knows of, and why, and what cannot be read: a line for each reason."""
    calls, parts = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for one in tried:
        if one.now is None:
            calls[one.why].append(f"{on_one_line(one.run_id)} step {one.step} {on_one_line(one.tool)}")
    for part in unread:
        parts[part.why].append(on_one_line(part.name))
    return [
        *(f"unknown: {on_one_line(why)}: {_some(found)}" for why, found in _most_first(calls)),
        *(f"not read: {on_one_line(why)}: {_some(found)}" for why, found in _most_first(parts)),
    ]


def _most_first(reasons: Mapping[str, list[str]]) -> list[tuple[str, list[str]]]:
    return sorted(reasons.items(), key=lambda entry: -len(entry[1]))


def _some(found: Sequence[str]) -> str:
    """Names a few, and how many more there are."""
    more = f" and {len(found) - NAMED} more, which `-o json` lists" if len(found) > NAMED else ""
    return f"{', '.join(found[:NAMED])}{more}"


def _changed(one: Tried, now: Verdict) -> dict[str, Any]:
    same = {"groups": {"was": list(one.was.groups), "now": list(now.groups)}} if now.outcome is one.was.outcome else {}
    return {**_call(one), "was": one.was.outcome.value, "now": now.outcome.value, "rules": list(now.rules), **same}


def _call(one: Tried) -> dict[str, Any]:
    return {"run_id": one.run_id, "step": one.step, "call_id": one.call_id, "tool": one.tool}


def _outcome(verdict: Verdict) -> Text:
    groups = f" ({', '.join(map(on_one_line, verdict.groups))})" if verdict.groups else ""
    return Text.assemble((verdict.outcome.value, _STYLE[verdict.outcome]), groups)
