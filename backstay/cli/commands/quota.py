"""`backstay quota`: sets and shows the rates of providers' accounts; needs no worker."""

from typing import Annotated

import typer

from ..shell.options import By, Written
from ..shell.output import Output

quota = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@quota.callback()
def rates() -> None:
    """Set and show the rates of providers' accounts. Agents name theirs as `account` under `[model]` of agent.toml."""


@quota.command("set")
def set_rate(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account, as agent.toml names it.")],
    rpm: Annotated[str | None, typer.Option(help="Requests per minute, such as 500.", show_default=False)] = None,
    rps: Annotated[str | None, typer.Option(help="Requests per second, such as 8.5.", show_default=False)] = None,
    off: Annotated[bool, typer.Option("--off", help="Take the limit away.")] = False,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; `quota show` repeats it.")] = "",
    by: By = None,
    output: Written = Output.TABLE,
) -> int:
    """Set the rate at which the server lets model calls of an account through, shared fairly between tenants.

    Set it a little below the provider's own, such as 95 %. What refusals have lowered is forgotten. Exit code: 0 set,
    2 usage, or a server that holds no rates, 5 Temporal unreachable.
    """
    from ..work import quota as work

    return work.set_rate(account, work.Asked(rpm, rps, off), reason, by, output)


@quota.command()
def show(
    account: Annotated[str | None, typer.Argument(metavar="ACCOUNT", help="This account alone.")] = None,
    output: Written = Output.TABLE,
) -> int:
    """Show each account: the rate that was set, the rate in force, why, until when, and how many calls wait.

    Exit code: 0 shown, 2 there can be no such account, 5 Temporal unreachable.
    """
    from ..work import quota as work

    return work.show(account, output)
