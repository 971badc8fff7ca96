"""Shows what is in force over all runs: stops, blocked tools, limits."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.text import Text

from backstay.kernel.characters import escaped
from backstay.kernel.control import Block, Incident, InForce, Stage

from ..shell.terminal import one_line
from .columns import Columns

_REASON = 200


def in_force_as_json(state: InForce) -> dict[str, object]:
    """Returns what is in force as JSON has it."""
    return {
        "stops": [_stop_as_json(one) for one in state.stops],
        "blocks": [block_as_json(one) for one in state.blocks],
        "limits": [{"tenant": tenant, "runs": most} for tenant, most in sorted(state.runs.items())],
    }


def block_as_json(one: Block) -> dict[str, object]:
    """Returns a block as JSON has it."""
    told = one.told
    return {
        "tool": one.tool,
        "agent": one.agent,
        "tenant": one.tenant,
        "by": told.by,
        "reason": told.reason,
        "at": _at(told.at_ms).isoformat(),
    }


def tables(state: InForce) -> list[Columns]:
    """Returns a table each of stops, blocked tools and limits, without those that would be empty."""
    return [table for table in (_stops(state.stops), *access_tables(state)) if len(table)]


def access_tables(state: InForce) -> list[Columns]:
    """Returns a table each of blocked tools and limits, without those that would be empty."""
    return [table for table in (_blocks(state.blocks), _limits(state)) if len(table)]


def counted(state: InForce) -> str:
    """Counts what is in force, such as `1 stop, 2 blocked tools`; `nothing` where nothing is."""
    kinds = ((state.stops, "stop"), (state.blocks, "block"), (state.runs, "limit"))
    parts = [f"{len(some)} {word}{'' if len(some) == 1 else 's'}" for some, word in kinds if some]
    return ", ".join(parts) or "nothing"


def moment(at: datetime) -> str:
    """Writes a moment in the time of this machine."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def _stop_as_json(one: Incident) -> dict[str, object]:
    return {
        "incident_id": one.id,
        "scope": str(one.scope),
        "mode": one.mode,
        "open": _open(one),
        "canaries": sorted(_canaries(one)),
        "by": one.told.by,
        "reason": one.told.reason,
        "at": _at(one.told.at_ms).isoformat(),
    }


def _stops(stops: Sequence[Incident]) -> Columns:
    table = Columns(("stop", "scope", "mode", "open again", "canaries", "by", "since", "why"), ("canaries",))
    for one in stops:
        table.add(
            escaped(one.id),
            escaped(str(one.scope)),
            one.mode,
            ", ".join(_open(one)),
            str(len(_canaries(one)) or ""),
            escaped(one.told.by),
            moment(_at(one.told.at_ms)),
            one_line(one.told.reason, _REASON),
        )
    return table


def _canaries(one: Incident) -> frozenset[str]:
    return one.canary.runs if one.canary else frozenset()


def _blocks(blocks: Sequence[Block]) -> Columns:
    table = Columns(("blocked tool", "agent", "tenant", "by", "since", "why"))
    for one in blocks:
        table.add(
            escaped(one.tool),
            _or_all(one.agent),
            _or_all(one.tenant),
            escaped(one.told.by),
            moment(_at(one.told.at_ms)),
            one_line(one.told.reason, _REASON),
        )
    return table


def _limits(state: InForce) -> Columns:
    table = Columns(("tenant", "runs at once"), ("runs at once",))
    for tenant, most in sorted(state.runs.items()):
        table.add(escaped(tenant), str(most))
    return table


def _open(one: Incident) -> list[str]:
    return [stage.value for stage in Stage if stage in one.open]


def _or_all(name: str | None) -> Text:
    return Text("all", "dim") if name is None else Text(escaped(name))


def _at(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1_000, UTC)
