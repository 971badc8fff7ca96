"""`backstay access`: blocks tools over all runs, allows them again, and limits the runs at once of tenants."""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio.client import Client

from backstay.client import control_plane
from backstay.client.control_plane import whom
from backstay.contracts.control import AccessOrder, ControlView, LimitOrder
from backstay.errors import ConfigurationError
from backstay.kernel.characters import escaped
from backstay.kernel.control import Block, Told
from backstay.kernel.nearest import did_you_mean
from backstay.settings import load_settings

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.order import order
from ..shell.program import as_typed
from ..shell.terminal import Output, say, write, write_json
from ..views.in_force import access_tables, in_force_as_json
from ..views.plane import WAITS, how_it_stands

Ask = Callable[[Client, AccessOrder], Awaitable[ControlView]]
_NO_LIMIT = "none"


@dataclass(frozen=True, slots=True)
class Which:
    """Holds the target of a block as it was typed."""

    tool: str
    agent: str | None
    tenant: str | None


def block(which: Which, reason: str, by: str | None, output: Output) -> int:
    """Runs `backstay access block` and returns its exit code."""
    return run_loop(_change(control_plane.block, _read(which, reason, by), output))


def allow(which: Which, reason: str, by: str | None, output: Output) -> int:
    """Runs `backstay access allow` and returns its exit code."""
    return run_loop(_change(control_plane.allow, _read(which, reason, by), output))


def limit(tenant: str, runs: str, reason: str, by: str | None, output: Output) -> int:
    """Runs `backstay access limit` and returns its exit code."""
    if runs != _NO_LIMIT and not (runs.isascii() and runs.isdecimal()):
        mend = "write for example `--runs 50`, or `--runs none` for no limit"
        raise ConfigurationError("expected a whole number of runs, or `none`", where="`--runs`", mend=mend)
    most = None if runs == _NO_LIMIT else int(runs)
    return run_loop(_limit(order(LimitOrder, by, reason, tenant=tenant, runs=most), output))


def listed(output: Output) -> int:
    """Runs `backstay access list` and returns its exit code."""
    return run_loop(_list(output))


def _read(which: Which, reason: str, by: str | None) -> AccessOrder:
    return order(AccessOrder, by, reason, tool=which.tool, agent=which.agent, tenant=which.tenant)


async def _change(ask: Ask, access: AccessOrder, output: Output) -> int:
    link = await connected()
    view = await ask(link.client.temporal, access)
    named = Block(access.tool, access.agent, access.tenant, Told(access.by, access.reason, view.at_ms))
    blocks = [one for one in view.state.blocks if one.tool == access.tool]
    blocked = any(_words(one) == _words(named) for one in blocks)
    if output is Output.JSON:
        write_json(
            {
                "tool": access.tool,
                "agent": access.agent,
                "tenant": access.tenant,
                "blocked": blocked,
                "by": access.by,
                "reason": access.reason,
                "confirmed": view.state.confirmed,
            }
        )
    else:
        told = "blocked, within two seconds everywhere" if blocked else "not blocked"
        say(f"{_words(named)}: {told}")
    _say_what_else_blocks(named, view, blocks)
    _say_if_lost(view)
    # The order comes first: reading the agents may take long, or fail.
    for warning in _strangers(access):
        say(f"warning: {warning} The order counts all the same: other workers may have it")
    return ExitCode.COMPLETED


def _words(block: Block) -> str:
    return escaped(f"{block.tool} {whom(block)}")


def _say_what_else_blocks(named: Block, view: ControlView, blocks: list[Block]) -> None:
    """Says which blocks of a tool stand beside the one that was ordered or taken back."""
    here = {_words(one): one for one in blocks}
    for words, one in here.items():
        if words != _words(named):
            say(f"{words}: blocked by {escaped(one.told.by)}, as before")
    for one in view.last.blocks if view.last else ():
        if one.tool == named.tool and _words(one) not in here:
            say(as_typed(f"{_words(one)}: blocked again once `backstay control confirm` restores what was known"))


def _say_if_lost(view: ControlView) -> None:
    if not view.state.confirmed:
        say(as_typed(WAITS))


async def _limit(given: LimitOrder, output: Output) -> int:
    link = await connected()
    view = await control_plane.limit(link.client.temporal, given)
    if output is Output.JSON:
        confirmed = view.state.confirmed
        written = {"tenant": given.tenant, "runs": given.runs, "by": given.by, "reason": given.reason}
        write_json({**written, "confirmed": confirmed})
    else:
        most = "no limit of runs at once" if given.runs is None else f"at most {given.runs} runs at once"
        say(f"{escaped(given.tenant)}: {most} from now on")
    _say_if_lost(view)
    return ExitCode.COMPLETED


async def _list(output: Output) -> int:
    link = await connected()
    plane = await control_plane.in_force(link.client.temporal)
    state = plane.state_in_force
    if output is Output.JSON:
        found = in_force_as_json(state) if state else {}
        access = {kind: found.get(kind, []) for kind in ("blocks", "limits")}
        write_json({"state": plane.state, **access})
        return ExitCode.COMPLETED
    shown = access_tables(state) if state else []
    for number, table in enumerate(shown):
        write(*([""] if number else []), table)
    if plane.lost or (state is None and plane.state is not control_plane.PlaneState.MISSING):
        say(as_typed(f"control plane: {how_it_stands(plane)}"))
    elif not shown:
        say(
            as_typed(
                "no tool is blocked, and no tenant limited; `backstay access block --tool T --reason R` blocks one"
            )
        )
    return ExitCode.COMPLETED


def _strangers(access: AccessOrder) -> list[str]:
    """Says in whole sentences which names no agent of the local folders knows; nothing where they cannot be read."""
    with contextlib.suppress(ConfigurationError, ImportError):
        from backstay.app.application import agents_of

        agents = agents_of(load_settings())
        if access.agent is not None and access.agent not in agents:
            meant = did_you_mean(access.agent, agents)
            return [f"the local folders have no agent `{escaped(access.agent)}`" + (f": {meant}" if meant else ".")]
        asked = [agent for name, agent in agents.items() if access.agent in (None, name)]
        tools = {tool for agent in asked for tool in agent.tools}
        if access.tool not in tools:
            whose = "no agent of the local folders" if access.agent is None else f"the agent `{access.agent}` here"
            meant = did_you_mean(access.tool, tools)
            has = "has a tool" if access.agent is None else "has no tool"
            return [f"{whose} {has} `{escaped(access.tool)}`" + (f": {meant}" if meant else ".")]
    return []
