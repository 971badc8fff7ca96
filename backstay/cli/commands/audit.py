"""`backstay audit`: who did what in a run, and the evidence of it, outside of Temporal too."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..shell.options import RunId, Written
from ..shell.output import Output

SHOW = "show"


class _OrARun(TyperGroup):
    """Takes a run's id in place of a command: `backstay audit RUN` shows it."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Reads the first word as a command, else as a run."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = [SHOW, *args]
        return super().resolve_command(ctx, args)


audit = typer.Typer(cls=_OrARun, add_completion=False, rich_markup_mode=None, no_args_is_help=True)

Place = Annotated[
    str | None, typer.Option("--archive", help="The archive: a folder or s3://bucket/prefix; here BACKSTAY_ARCHIVE.")
]
Keys = Annotated[
    list[str] | None,
    typer.Option("--key", help="A public key that counts, as `backstay audit keys` writes it; repeatable."),
]


@audit.callback()
def evidence() -> None:
    """Show who did what in a run, and export, verify and keep the evidence: backstay audit RUN."""


@audit.command(SHOW)
def show(run_id: RunId, output: Written = Output.TABLE) -> int:
    """Show who did what, allowed by which rule, approved by whom, at what cost, and when; backstay audit RUN is short.

    A run that Temporal has forgotten is read from the archive. Exit code: 0 shown, 1 no worker answers, 4 not found, 5
    Temporal unreachable.
    """
    from ..work import audit as work

    return work.show(run_id, output)


@audit.command()
def export(run_id: RunId) -> int:
    """Write the audit as JSON Lines, signed where BACKSTAY_AUDIT_KEY is set; with it, of the runs that it started.

    RUN may also be the control plane, an incident, the breakers, a ledger, grants or rates, by its workflow id. Exit
    code: 0 written, 1 no worker answers, 4 not found, 5 Temporal unreachable.
    """
    from ..work import audit as work

    return work.export(run_id)


@audit.command()
def verify(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="An export, or receipts; - is standard input.")
    ] = None,
    archive: Place = None,
    keys: Keys = None,
    output: Written = Output.TABLE,
) -> int:
    """Check that nothing in an export or in receipts was changed, dropped, added or cut, and name the first flaw.

    With --archive, compare it with what was kept outside of Temporal, which alone finds a history that was rewritten;
    without FILE, check the archive itself. With --key, only that key's signatures count. Needs no server. Exit code: 0
    intact, 1 not, 2 it cannot be read.
    """
    from ..work import audit_verify as work

    return work.verify(file, archive, keys or [], output)


@audit.command()
def receipts(run_id: RunId) -> int:
    """Write a signed receipt for each call that was made, as JSON Lines; each line can be verified alone.

    Exit code: 0 written, 1 no worker answers, 2 BACKSTAY_AUDIT_KEY is not set, 4 not found, 5 Temporal unreachable.
    """
    from ..work import audit as work

    return work.receipts(run_id)


@audit.command("keys")
def audit_keys(output: Written = Output.TABLE) -> int:
    """Write the public keys of BACKSTAY_AUDIT_KEY, to publish: with them others verify what it signs.

    Exit code: 0 written, 2 there is no key.
    """
    from ..work import audit as work

    return work.keys(output)


@audit.command()
def keep(
    run_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Runs, as for export.", show_default=False)
    ] = None,
    control: Annotated[
        bool, typer.Option("--control", help="Also the control plane, incidents, breakers, ledgers, grants and rates.")
    ] = False,
    output: Written = Output.TABLE,
) -> int:
    """Write evidence to BACKSTAY_ARCHIVE now: of runs that the archive missed, and of what governs all runs.

    Exit code: 0 kept, 1 the archive did not take it, or no worker answers, 2 usage, 4 not found, 5 Temporal
    unreachable.
    """
    from ..work import audit as work

    return work.keep(run_ids or [], control, output)


@audit.command()
def prune(
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it, only list.")] = False,
    output: Written = Output.TABLE,
) -> int:
    """Delete from the archive what is older than BACKSTAY_ARCHIVE_DAYS, and not under BACKSTAY_LEGAL_HOLD.

    Exit code: 0 listed or deleted, 1 the archive does not let it go, 2 a setting is missing or misspelt.
    """
    from ..work import audit_verify as work

    return work.prune(yes, output)
