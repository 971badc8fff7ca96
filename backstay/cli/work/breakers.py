"""`backstay breakers`: shows what stops a part of the fleet by itself; needs no worker."""

from collections.abc import Sequence
from datetime import UTC, datetime

from backstay.client.breakers import breakers
from backstay.contracts.breakers import BreakersView, RuleView, TripView, WindowView
from backstay.kernel.characters import escaped
from backstay.kernel.money import format_usd

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.terminal import Output, say, write, write_json
from ..views.columns import Columns

_LAST = 10


def show(output: Output) -> int:
    """Runs `backstay breakers` and returns its exit code."""
    return run_loop(_show(output))


async def _show(output: Output) -> int:
    link = await connected()
    found = await breakers(link.client.temporal)
    if output is Output.JSON:
        write_json(_as_json(found))
    elif found is None or not found.rules:
        say("no worker has told breakers of anything yet; they stand in org.toml, `[[breakers]]`")
    else:
        write(_table(found.rules))
        if found.trips:
            write("", _trips(found.trips[-_LAST:]))
    return ExitCode.COMPLETED


def _as_json(found: BreakersView | None) -> dict[str, object]:
    if found is None:
        return {"breakers": [], "trips": []}
    return {
        "breakers": [
            {
                "name": rule.name,
                "digest": rule.digest,
                "scope": rule.scope,
                "then": rule.then,
                "rule": rule.rule,
                "told_at": _time(rule.told_ms),
                "windows": [_window_as_json(window) for window in rule.windows],
            }
            for rule in found.rules
        ],
        "trips": [
            {
                "breaker": trip.breaker,
                "scope": trip.scope,
                "then": trip.then,
                "incident_id": trip.incident_id,
                "why": trip.why,
                "at": _time(trip.at_ms),
            }
            for trip in reversed(found.trips)
        ],
    }


def _window_as_json(window: WindowView) -> dict[str, object]:
    share = None if not window.of or window.failed is None else round(window.failed / window.of, 3)
    return {
        "scope": window.scope,
        "state": window.state.value,
        "failed": window.failed,
        "of": window.of,
        "share": share,
        "usd_10m": None if window.usd_10m is None else format_usd(window.usd_10m),
        "usual_10m": None if window.usual_10m is None else format_usd(window.usual_10m),
        "incident_id": window.incident_id,
        "tripped_at": None if window.tripped_ms is None else _time(window.tripped_ms),
    }


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _table(rules: Sequence[RuleView]) -> Columns:
    table = Columns(("breaker", "then", "scope", "state", "seen", "incident", "trips when"), ())
    for rule in rules:
        windows = rule.windows or [None]
        for number, window in enumerate(windows):
            first = (rule.name, rule.then) if number == 0 else ("", "")
            seen = (f"each {rule.scope}", "", "nothing yet", "") if window is None else _seen(window)
            table.add(*map(escaped, first), *map(escaped, seen), escaped(rule.rule) if number == 0 else "")
    return table


def _seen(window: WindowView) -> tuple[str, str, str, str]:
    if window.usd_10m is None:
        seen = f"{window.failed} of {window.of} failed"
    else:
        usual = "no day known" if window.usual_10m is None else f"usual ${format_usd(window.usual_10m)}"
        seen = f"${format_usd(window.usd_10m)} in 10 min, {usual}"
    return window.scope, window.state.value.replace("_", "-"), seen, window.incident_id or ""


def _trips(trips: Sequence[TripView]) -> Columns:
    table = Columns(("tripped", "breaker", "scope", "then", "incident", "why"), ())
    for trip in reversed(trips):
        at = datetime.fromtimestamp(trip.at_ms / 1_000, UTC).astimezone()
        words = (trip.breaker, trip.scope, trip.then, trip.incident_id or "", trip.why)
        table.add(f"{at:%Y-%m-%d %H:%M:%S}", *map(escaped, words))
    return table
