"""Describes the stop reasons in the order in which they win."""

from backstay.kernel.stop import Stop, StopReason

from .documented import documented
from .markdown import code, page, table

_TEXT = """\
Every run ends with one of these reasons. Where several hold at once, the first in this order is the run's. It stands in
the result as `stop_reason`, and in the search attribute `BackstayStopReason`. A run that governance stopped closes in
Temporal as Completed with the status `stopped`: that is the runtime doing its job."""


def stop_reasons() -> str:
    """Returns the page about stop reasons."""
    said = documented(StopReason, [reason.name for reason in StopReason])
    lines = [(code(reason.value), code(Stop(reason).status.value), said[reason.name]) for reason in StopReason]
    return page("Stop reasons", _TEXT, table(("reason", "status", "when"), lines))
