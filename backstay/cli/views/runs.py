"""Writes runs as a table, one row each."""

from collections.abc import Iterable

from backstay.client.fleet import Listed
from backstay.kernel.characters import escaped
from backstay.kernel.stop import StopReason

from ..shell.terminal import one_line
from .columns import Columns

_DETAIL = 60


def runs_table(found: Iterable[Listed]) -> Columns:
    """Returns the runs as a list shows them."""
    table = Columns(
        ("run", "state", "reason", "agent", "tenant", "approvals", "usd", "seconds", "started"), ("usd", "seconds")
    )
    for one in found:
        table.add(
            escaped(one.run_id),
            one.state,
            _reason(one),
            escaped(one.agent or "-"),
            escaped(one.tenant or "-"),
            str(one.pending_approvals or ""),
            "-" if one.usd is None else f"${one.usd}",
            "-" if one.seconds is None else str(one.seconds),
            f"{one.started_at.astimezone():%Y-%m-%d %H:%M:%S}",
        )
    return table


def _reason(one: Listed) -> str:
    """Returns why a run ended, where its state does not say it already."""
    reason = "" if one.stop_reason in (None, StopReason.COMPLETED) else escaped(one.stop_reason)
    detail = one_line(one.stop_detail, _DETAIL) if one.stop_detail else ""
    return ": ".join(filter(None, (reason, detail)))
