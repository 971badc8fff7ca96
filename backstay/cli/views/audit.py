"""Turns audit records into rows that people read: when, what, who, by which rule, at what cost."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, cast

from backstay.kernel.money import format_usd

from ..shell.terminal import one_line
from .columns import Columns

_LONGEST = 100
Facts = Mapping[str, Any]
Row = tuple[str, str, str, str]
"""The columns: the event, the person or rule behind it, and its cost."""


def audit_table(records: Iterable[Facts], *, of_run: bool = True) -> Columns:
    """Returns the deeds of a run as a table; its bookkeeping is left out.

    Args:
        records: the records.
        of_run: they are those of a run. What governs all runs has events of any name: whoever sends a signal names it.
    """
    table = Columns(("when", "what", "who", "rule", "usd"), ("usd",))
    for record in records:
        read = _ROWS.get(record["event"], _other) if of_run else _other
        row = read(record["event"], record["facts"])
        if row is not None:
            at = datetime.fromisoformat(record["at"]).astimezone()
            table.add(f"{at:%Y-%m-%d %H:%M:%S}", *(one_line(cell, _LONGEST) for cell in row))
    return table


def _hidden(_: str, __: Facts) -> None:
    return None


def _other(event: str, facts: Facts) -> Row:
    return event.replace("_", " "), _by(facts), "", ""


def _admitted(_: str, facts: Facts) -> Row:
    what = f"admitted: {facts['agent']} for {facts['tenant']}, model {facts['model']}"
    return what, facts["requested_by"] or "", "", ""


def _settled(_: str, facts: Facts) -> Row:
    return f"step {facts['step']}: the model was asked", "", "", format_usd(facts["amount"]["usd"])


def _judged(_: str, facts: Facts) -> Row:
    verdict = facts["verdict"]
    by = verdict["grant"]["by"] if verdict.get("grant") else ""
    return f"{facts['tool']}: {verdict['outcome']}", by, ", ".join(verdict["rules"]), ""


def _opened(_: str, facts: Facts) -> Row:
    asked = facts["approval"]
    return f"{asked['tool']}: asks {', '.join(asked['groups'])}", "", ", ".join(asked["rules"]), ""


def _ended(_: str, facts: Facts) -> Row:
    return f"{facts['tool']}: {facts['outcome']}", "", "", format_usd(facts["usd"]) if facts["usd"] else ""


def _held(_: str, facts: Facts) -> Row:
    return f"{facts['tool']}: begins", "", "", ""


def _approval_ended(_: str, facts: Facts) -> Row:
    comment = f": {facts['comment']}" if facts.get("comment") else ""
    return f"approval {facts['end']}{comment}", facts["by"] or "", "", ""


def _person(event: str, facts: Facts) -> Row:
    reason = f": {facts['reason']}" if facts.get("reason") else ""
    return f"{event.replace('_', ' ')}{reason}", _by(facts), "", ""


def _closed(_: str, facts: Facts) -> Row:
    detail = f" ({facts['detail']})" if facts.get("detail") else ""
    return f"closed: {facts['reason'] or 'cancelled'}{detail}", "", "", ""


def _refused(_: str, facts: Facts) -> Row:
    return f"message refused: {facts['message']}, {facts['code']}", _by(facts), "", ""


def _by(facts: Facts) -> str:
    given = facts.get("given")
    by = facts.get("by", cast("Facts", given).get("by") if isinstance(given, dict) else None)
    return by if isinstance(by, str) else ""


_ROWS: Mapping[str, Callable[[str, Facts], Row | None]] = {
    "admitted": _admitted,
    "approval_ended": _approval_ended,
    "approval_opened": _opened,
    "call_ended": _ended,
    "call_held": _held,
    "call_judged": _judged,
    "closed": _closed,
    "counted": _hidden,
    "decided": _hidden,
    "decision_ended": _hidden,
    "decision_held": _hidden,
    "decision_settled": _settled,
    "drawn": _hidden,
    "granted": _person,
    "killed": _person,
    "message_refused": _refused,
    "paused": _person,
    "resumed": _person,
    "uncounted": _hidden,
}
