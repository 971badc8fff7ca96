"""`backstay replay`: replays a run or a saved history against the present code."""

from pathlib import Path

from backstay.checks.replay import first_difference, history_of_file, history_of_run

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.terminal import Output, clean, one_line, say, write, write_json

_LONGEST = 2_000


def replay(what: str, output: Output) -> int:
    """Runs `backstay replay` and returns its exit code."""
    file = Path(what)
    return run_loop(_replay(what, file if file.is_file() else None, output))


async def _replay(what: str, file: Path | None, output: Output) -> int:
    if file is not None:
        history = history_of_file(file)
    else:
        history = await history_of_run((await connected()).client.temporal, what)
    difference = await first_difference(history)
    if output is Output.JSON:
        write_json(
            {"what": what, "events": len(history.events), "replays": difference is None, "difference": difference}
        )
    elif difference is None:
        write(f"{clean(what)} replays: {len(history.events)} events, no difference")
    else:
        write(f"{clean(what)} does not replay: {one_line(difference, _LONGEST)}")
        say("a worker with this code could not take the run over", "dim")
    return ExitCode.COMPLETED if difference is None else ExitCode.FAILED
