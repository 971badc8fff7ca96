"""`backstay approvals`: lists everything that waits for people, over all runs."""

from backstay.client.fleet import waiting_approvals
from backstay.contracts.card import command
from backstay.contracts.run import plain
from backstay.errors import ConfigurationError

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.program import as_typed, program
from ..shell.queue import said_elsewhere
from ..shell.terminal import Output, clean, say, word, write, write_json
from ..views.approval import approvals_table


def approvals(what: str, output: Output) -> int:
    """Runs `backstay approvals` and returns its exit code."""
    if what != "list":
        raise ConfigurationError(f"there is no `approvals {what}`", mend="write `backstay approvals`")
    return run_loop(_approvals(output))


async def _approvals(output: Output) -> int:
    link = await connected()
    waiting = await waiting_approvals(
        link.client.temporal, lambda line: say(clean(line), "yellow"), task_queue=link.client.task_queue
    )
    if output is Output.JSON:
        write_json(
            {
                "approvals": [
                    {**plain(one.approval), "run_id": one.run_id, "agent": one.agent, "execution": one.execution}
                    for one in waiting
                ]
            }
        )
    elif waiting:
        write(approvals_table(waiting))
        first = waiting[0]
        say(
            f"read one: {program()} show {word(first.run_id)}   ·   "
            f"answer it: {as_typed(command(first.run_id, first.approval))}",
            "dim",
        )
    if not waiting and not await said_elsewhere(link) and output is Output.TABLE:
        say("nothing waits for approval")
    return ExitCode.COMPLETED
