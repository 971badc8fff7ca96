"""`backstay transcript`: the conversation of a run."""

from backstay.contracts.run import plain

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.terminal import Output, say, write, write_json
from ..views.transcript import paragraphs


def transcript(run_id: str, output: Output) -> int:
    """Runs `backstay transcript` and returns its exit code."""
    return run_loop(_transcript(run_id, output))


async def _transcript(run_id: str, output: Output) -> int:
    link = await connected()
    items = [item async for item in link.client.transcript(run_id)]
    if output is Output.JSON:
        write_json({"items": [plain(item) for item in items]})
    elif items:
        write(*(line for item in items for line in paragraphs(item)))
    else:
        say("nothing has been said in this run")
    return ExitCode.COMPLETED
