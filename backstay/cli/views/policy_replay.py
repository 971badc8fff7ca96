"""Shows what a candidate decides otherwise in past runs, and which calls nobody knows of."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from rich.text import Text

from backstay.checks.against_past import Tried
from backstay.kernel.excerpt import on_one_line
from backstay.kernel.verdict import Outcome, Verdict

from .columns import Columns

_STYLE = {Outcome.ALLOW: "green", Outcome.DENY: "red", Outcome.REQUIRE_APPROVAL: "yellow"}


def as_json(tried: Sequence[Tried], changed: Sequence[Tried]) -> dict[str, Any]:
    """Returns the report for programs.

    Args:
        tried: all calls.
        changed: those that are decided otherwise, in their order.
    """
    unknown = [one for one in tried if one.now is None]
    return {
        "calls": len(tried),
        "changed": [_changed(one, one.now) for one in changed if one.now is not None],
        "deny_to_allow": sum(one.opens for one in changed),
        "unknown": len(unknown),
        "why_unknown": [{**_call(one), "was": one.was.outcome.value, "why": one.why} for one in unknown],
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


def doubts(tried: Iterable[Tried]) -> list[str]:
    """Says how many calls nobody knows of, and why: a line for each reason, with an example."""
    reasons: dict[str, list[Tried]] = defaultdict(list)
    for one in tried:
        if one.now is None:
            reasons[one.why].append(one)
    return [
        f"unknown for {len(found)} of the calls, such as {on_one_line(found[0].run_id)} step {found[0].step}: "
        f"{on_one_line(why)}"
        for why, found in sorted(reasons.items(), key=lambda entry: -len(entry[1]))
    ]


def _changed(one: Tried, now: Verdict) -> dict[str, Any]:
    same = {"groups": {"was": list(one.was.groups), "now": list(now.groups)}} if now.outcome is one.was.outcome else {}
    return {**_call(one), "was": one.was.outcome.value, "now": now.outcome.value, "rules": list(now.rules), **same}


def _call(one: Tried) -> dict[str, Any]:
    return {"run_id": one.run_id, "step": one.step, "call_id": one.call_id, "tool": one.tool}


def _outcome(verdict: Verdict) -> Text:
    groups = f" ({', '.join(map(on_one_line, verdict.groups))})" if verdict.groups else ""
    return Text.assemble((verdict.outcome.value, _STYLE[verdict.outcome]), groups)
