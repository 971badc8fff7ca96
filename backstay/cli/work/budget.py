"""`backstay budget`: shows what runs may still spend together; needs no worker."""

import time
from collections.abc import Sequence
from decimal import Decimal

from backstay.client.ledgers import Line, Top, ledgers, lines, top
from backstay.kernel.characters import escaped
from backstay.kernel.ledger_period import Period
from backstay.kernel.ledger_sums import LEVELS, RUNS, meter_of
from backstay.kernel.meter import format_amount
from backstay.kernel.money import format_usd

from ..shell.choice import known
from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.terminal import Output, say, write, write_json
from ..views.columns import Columns


def show(tenant: str | None, agent: str | None, period: str | None, output: Output) -> int:
    """Runs `backstay budget show` and returns its exit code."""
    known("period", period, [one.value for one in Period])
    return run_loop(_show(tenant, agent, period, output))


async def _show(tenant: str | None, agent: str | None, period: str | None, output: Output) -> int:
    link = await connected()
    now_ms = time.time_ns() // 1_000_000
    found: list[Line] = []
    dearest: list[Top] = []
    async for view in ledgers(link.client.temporal, tenant):
        found += [one for one in lines(view, now_ms) if _chosen(one, agent, period)]
        dearest += [
            one for one in top(view, now_ms) if period in (None, one.period) and agent in (None, one.spender.agent)
        ]
    found.sort(key=lambda one: (LEVELS.index(one.level), one.tenant or "", one.agent or "", one.quantity))
    if output is Output.JSON:
        write_json({"limits": [_as_json(one) for one in found], "top": [_top_as_json(one) for one in dearest]})
    elif found:
        write(_table(found))
        if dearest:
            write("", _dearest(dearest))
    else:
        say(
            "no run has drawn on a ledger"
            + (" of these: is the name right?" if tenant or agent else "; limits stand in org.toml, `[limits]`")
        )
    return ExitCode.COMPLETED


def _chosen(one: Line, agent: str | None, period: str | None) -> bool:
    return agent in (None, one.agent) and (period is None or one.period == period)


def _amount(quantity: str, amount: int | None) -> str | int | None:
    """Returns an amount as JSON has it: US dollars and meters as decimal strings, everything else as a number."""
    if amount is None or (quantity != "usd" and meter_of(quantity) is None):
        return amount
    return format_usd(amount) if quantity == "usd" else format_amount(amount)


def _words(quantity: str, amount: int | None) -> str:
    if amount is None:
        return "-"
    if meter_of(quantity) is not None:
        return f"{Decimal(format_amount(amount)):,f}"
    return f"${format_usd(amount)}" if quantity == "usd" else f"{amount:,}"


def _as_json(one: Line) -> dict[str, object]:
    return {
        "level": one.level,
        "tenant": one.tenant,
        "agent": one.agent,
        "quantity": "runs_at_once" if one.quantity == RUNS else one.quantity,
        "period": one.period,
        "key": None if one.period is None else one.key,
        "limit": _amount(one.quantity, one.limit),
        "spent": _amount(one.quantity, one.spent),
        "held": _amount(one.quantity, one.held),
        "left": _amount(one.quantity, one.left),
        "forecast": _amount(one.quantity, one.forecast),
    }


def _top_as_json(one: Top) -> dict[str, object]:
    spender = one.spender
    return {
        "tenant": one.tenant,
        "period": one.period,
        "run_id": spender.run,
        "agent": spender.agent,
        "usd": format_usd(spender.usd),
    }


def _table(found: Sequence[Line]) -> Columns:
    table = Columns(
        ("level", "tenant", "agent", "of", "period", "limit", "spent", "held", "left", "forecast"),
        ("limit", "spent", "held", "left", "forecast"),
    )
    for one in found:
        amounts = (one.limit, one.spent, one.held, one.left, one.forecast)
        table.add(
            one.level,
            escaped(one.tenant or ""),
            escaped(one.agent or ""),
            "runs at once" if one.quantity == RUNS else escaped(meter_of(one.quantity) or one.quantity),
            one.key if one.period else "",
            *(_words(one.quantity, amount) for amount in amounts),
        )
    return table


def _dearest(found: Sequence[Top]) -> Columns:
    table = Columns(("run", "agent", "tenant", "period", "spent"), ("spent",))
    for one in found:
        table.add(
            escaped(one.spender.run),
            escaped(one.spender.agent),
            escaped(one.tenant or "all"),
            one.period,
            f"${format_usd(one.spender.usd)}",
        )
    return table
