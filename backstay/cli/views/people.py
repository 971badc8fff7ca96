"""Shows who did what in a run, and which messages it refused."""

from collections.abc import Iterable
from datetime import datetime

from backstay.contracts.deeds import Deed, RefusedMessage

from ..shell.terminal import one_line
from .columns import Columns

_COMMENT = 200


def people_table(deeds: Iterable[Deed]) -> Columns:
    """Lists votes, edits, kills and the like, with name, time and comment."""
    table = Columns(("when", "who", "did", "comment"))
    for deed in deeds:
        did = deed.did + (f" {one_line(deed.tool, _COMMENT)}" if deed.tool else "")
        table.add(_time(deed.at), one_line(deed.by, _COMMENT), did, one_line(deed.comment or "", _COMMENT))
    return table


def refused_table(refused: Iterable[RefusedMessage]) -> Columns:
    """Lists refused messages, each with what to send instead."""
    table = Columns(("when", "refused", "from", "why", "instead"))
    for one in refused:
        table.add(_time(one.at), one.message, one_line(one.by or "-", _COMMENT), one.code, one.instead)
    return table


def _time(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M:%S}"
