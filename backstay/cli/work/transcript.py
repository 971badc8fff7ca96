"""`backstay transcript`: the conversation of a run."""

from backstay.adapters.archive.store import archive_of
from backstay.client.said import said_in
from backstay.contracts.run import plain
from backstay.settings import load_settings

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.terminal import Output, say, write, write_json
from ..views.transcript import lacking, paragraphs


def transcript(run_id: str, output: Output) -> int:
    """Runs `backstay transcript` and returns its exit code."""
    return run_loop(_transcript(run_id, output))


async def _transcript(run_id: str, output: Output) -> int:
    client = (await connected()).client.temporal
    archive = archive_of(load_settings(), client)
    said = await said_in(client, run_id, archive)
    if said.missing:
        say(lacking(f"items 1 to {said.missing}", archive is not None), "yellow")
    if output is Output.JSON:
        write_json({"items": [plain(item) for item in said.items]})
    elif said.items:
        write(*(line for item in said.items for line in paragraphs(item)))
    else:
        say("nothing has been said in this run")
    return ExitCode.COMPLETED
