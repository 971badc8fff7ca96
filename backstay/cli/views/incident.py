"""Shows incidents and what became of the runs in their scope."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from backstay.client.incidents import Report
from backstay.contracts.incident import IncidentView, RunReport
from backstay.contracts.queue_hold import EngineHold, HeldQueue
from backstay.contracts.quota import per_minute
from backstay.kernel.control import Incident, Stage
from backstay.kernel.engine import CallKind
from backstay.kernel.quota import PER_REQUEST

from ..shell.terminal import clean, one_line
from .columns import Columns

_DETAIL = 200
_HELD = {CallKind.MODELS: "model calls", CallKind.TOOLS: "tool calls"}


def moment(at_ms: int) -> str:
    """Returns a time of day on this machine's clock."""
    return f"{datetime.fromtimestamp(at_ms / 1_000).astimezone():%H:%M:%S}"


def report_json(incident: Incident, found: Report | None) -> dict[str, Any]:
    """Returns the report of an incident for programs; `runs` is empty where it is not known yet."""
    return {
        "incident_id": incident.id,
        "scope": str(incident.scope),
        "mode": incident.mode.value,
        "in_force_at": _stamp(incident.told.at_ms),
        "done": found is not None and found.view.done,
        "runs": [one.model_dump(exclude={"failed"}) for one in found.runs] if found else [],
        "counts": found.view.counts if found else {},
        "engine": _engine_json(found.view.engine if found else None),
    }


def incident_json(incident: Incident, view: IncidentView | None) -> dict[str, Any]:
    """Returns an incident for programs."""
    return {
        "incident_id": incident.id,
        "scope": str(incident.scope),
        "mode": incident.mode.value,
        "by": incident.told.by,
        "reason": incident.told.reason,
        "in_force_at": _stamp(incident.told.at_ms),
        "open": [stage.value for stage in Stage if stage in incident.open],
        "canary": sorted(incident.canary.runs) if incident.canary else [],
        "ended_at": None if incident.ended_ms is None else _stamp(incident.ended_ms),
        "lifted": [{"by": one.by, "reason": one.reason, "at": _stamp(one.at_ms)} for one in incident.lifted],
        "done": view is not None and view.done,
        "moving": view.moving if view else None,
        "counts": view.counts if view else {},
        "engine": _engine_json(view.engine if view else None),
    }


def engine_lines(hold: EngineHold) -> list[str]:
    """Says in words which queues the engine holds, and which it cannot hold."""
    held = [f"the engine holds {clean(one.queue)}, {_HELD[one.kind]}; after it: {_limit(one)}" for one in hold.held]
    unheld = [f"the engine cannot hold {clean(one.queue)}: {clean(one.why)}" for one in hold.unheld]
    return [*held, *unheld] or ["the engine holds nothing: no queue carries calls in scope that are closed"]


def _engine_json(hold: EngineHold | None) -> dict[str, Any] | None:
    """Returns what the engine holds for programs; None where it was not asked to hold anything, or has not yet."""
    if hold is None:
        return None
    held = [
        {"queue": one.queue, "calls": one.kind.value, "rpm_before": _rpm(one), "reason_before": one.why or None}
        for one in hold.held
    ]
    unheld = [{"queue": one.queue, "calls": one.kind.value, "why": one.why} for one in hold.unheld]
    return {"held": held, "not_held": unheld}


def _rpm(one: HeldQueue) -> float | None:
    return None if one.rate is None else one.rate / PER_REQUEST


def _limit(one: HeldQueue) -> str:
    limit = "no limit" if one.rate is None else f"{per_minute(one.rate)} per minute"
    return f"{limit} ({one_line(one.why, _DETAIL)})" if one.why else limit


def incidents_table(incidents: Sequence[Incident], views: Mapping[str, IncidentView | None]) -> Columns:
    """Returns incidents as a table, the latest first."""
    table = Columns(("incident", "scope", "mode", "state", "since", "runs", "by", "reason"))
    for one in sorted(incidents, key=lambda one: -one.told.at_ms):
        view = views[one.id]
        table.add(
            clean(one.id),
            clean(str(one.scope)),
            one.mode.value,
            _state(one),
            f"{datetime.fromtimestamp(one.told.at_ms / 1_000).astimezone():%Y-%m-%d %H:%M:%S}",
            _counts(view) if view else "sweep not begun",
            clean(one.told.by),
            one_line(one.told.reason, _DETAIL),
        )
    return table


def report_table(found: Report) -> Columns:
    """Returns what became of each run as a table, those first that need somebody."""
    table = Columns(("run", "outcome", "usd", "in flight", "detail"), ("usd",))
    order = ("could_not_stop", "effect_unknown", "stopped", "frozen", "already_done")
    for one in sorted(found.runs, key=lambda one: (order.index(one.outcome), one.run_id)):
        table.add(
            clean(one.run_id),
            one.outcome.replace("_", " "),
            one.usd or "",
            _in_flight(one),
            one_line(one.detail or "", _DETAIL),
        )
    return table


def _in_flight(report: RunReport) -> str:
    return ", ".join(clean(f"{one.tool} ({one.outcome or 'under way'})") for one in report.in_flight)


def _state(incident: Incident) -> str:
    if incident.ended_ms is not None:
        return f"lifted {moment(incident.ended_ms)}"
    if incident.canary is not None:
        return f"{len(incident.canary.runs)} runs go first"
    opened = [stage.value for stage in Stage if stage in incident.open]
    return f"in force, open: {', '.join(opened)}" if opened else "in force"


def _counts(view: IncidentView) -> str:
    told = [f"{count} {name.replace('_', ' ')}" for name, count in view.counts.items()]
    moving = [f"{view.moving} moving"] if view.moving else []
    return ", ".join([*told, *moving]) or "none"


def _stamp(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
