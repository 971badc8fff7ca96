"""`backstay approvals`: lists everything that waits for people, over all runs."""

from typing import Annotated

import typer

from backstay.client.fleet import waiting_approvals
from backstay.contracts.run import plain
from backstay.errors import ConfigurationError

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.options import Written
from ..shell.terminal import Output, say, write, write_json
from ..views.approval import approvals_table


def approvals(
    what: Annotated[str, typer.Argument(metavar="[list]", show_default=False, help="May be left out.")] = "list",
    output: Written = Output.TABLE,
) -> int:
    """List the open approvals of all runs, the first to expire first. Needs no worker.

    Exit code: 0 listed, 5 Temporal unreachable.
    """
    if what != "list":
        raise ConfigurationError(f"there is no `approvals {what}`", mend="write `backstay approvals`")
    return run_loop(_approvals(output))


async def _approvals(output: Output) -> int:
    link = await connected()
    waiting = await waiting_approvals(link.client.temporal)
    if output is Output.JSON:
        write_json(
            {"approvals": [{"run_id": one.run_id, "agent": one.agent, **plain(one.approval)} for one in waiting]}
        )
    elif waiting:
        write(approvals_table(waiting))
        say(f"answer one: backstay approve {waiting[0].run_id}   ·   backstay deny {waiting[0].run_id}", "dim")
    else:
        say("nothing waits for approval")
    return ExitCode.COMPLETED
