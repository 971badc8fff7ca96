"""Shows the verdict over a call and its explanation, as a table and as JSON."""

import json
from collections.abc import Iterable
from typing import Any

from rich.table import Table
from rich.text import Text

from backstay.app import folders
from backstay.checks.what_if import Judged

from ..shell.terminal import clean

_STYLE = {"allow": "green", "deny": "red", "require_approval": "yellow"}


def as_json(agent: str, tool: str, judged: Judged, bundle: "folders.build.Bundle") -> dict[str, Any]:
    """Writes the whole explanation as plain JSON values."""
    found, verdict = judged.explanation, judged.verdict
    named = sorted({*verdict.rules, *found.permits, *found.forbids})
    observed = found.observed
    return {
        "agent": agent,
        "tool": tool,
        "outcome": verdict.outcome.value,
        "code": verdict.code.value,
        "message": verdict.message,
        "groups": list(verdict.groups),
        "deciding": list(verdict.rules),
        "rules": [_rule(bundle.enforced.rules[name]) for name in named if name in bundle.enforced.rules],
        "facts": dict(judged.facts),
        "context": dict(found.context),
        "left_out": list(found.left_out),
        "errors": list(found.errors),
        "changes": list(found.changes),
        "observed": {"outcome": observed.outcome.value, "rules": list(observed.rules)} if observed else None,
        "policy_version": verdict.policy_version,
    }


def _rule(rule: "folders.rule.Rule") -> dict[str, Any]:
    return {
        "id": rule.id,
        "effect": rule.template.effect,
        "origin": rule.origin.value,
        "where": rule.where,
        "approval": rule.approval.spec if rule.approval else None,
        "reason": rule.reason,
    }


def explanation_table(value: dict[str, Any]) -> Table:
    """Lays the same out for people."""
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("outcome", Text.assemble((value["outcome"], _STYLE[value["outcome"]]), f" · {value['code']}"))
    if value["message"]:
        table.add_row("message", clean(value["message"]))
    for label, row in _rows("rule", (_rule_line(rule) for rule in value["rules"])):
        table.add_row(label, row)
    for label, row in _rows("fact", (f"{name} = {json.dumps(fact)}" for name, fact in value["facts"].items())):
        table.add_row(label, row)
    if value["groups"]:
        table.add_row("approval by", ", ".join(value["groups"]))
    for label, row in _rows("not seen", value["left_out"]):
        table.add_row(label, row)
    for label, row in _rows("error", value["errors"]):
        table.add_row(label, row)
    for label, row in _rows("would change it", value["changes"]):
        table.add_row(label, row)
    if value["observed"]:
        names = ", ".join(value["observed"]["rules"]) or "no rule"
        table.add_row("observed", f"{value['observed']['outcome']}: {clean(names)}")
    return table


def _rows(label: str, lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    return [("" if number else label, clean(line)) for number, line in enumerate(lines)]


def _rule_line(rule: dict[str, Any]) -> str:
    lifted = f", lifted by {rule['approval']}" if rule["approval"] else ""
    reason = f": {rule['reason']}" if rule["reason"] else ""
    return f"{rule['effect']} {rule['id']}{reason}{lifted} ({rule['where']})"
