"""`backstay pause` and `backstay resume`: hold a run back and let it go on."""

from backstay.errors import CrowdedError
from backstay.kernel.characters import escaped

from ..shell.connected import connected, person
from ..shell.ended import check_open
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.posted import posted
from ..shell.program import as_typed
from ..shell.terminal import Output, say, word, write_json


def pause(run_id: str, reason: str | None, by: str | None, output: Output) -> int:
    """Runs `backstay pause` and returns its exit code."""
    return run_loop(_order("pause", run_id, person(by), reason, output))


def resume(run_id: str, reason: str | None, by: str | None, output: Output) -> int:
    """Runs `backstay resume` and returns its exit code."""
    return run_loop(_order("resume", run_id, person(by), reason, output))


async def _order(name: str, run_id: str, by: str, reason: str | None, output: Output) -> int:
    run = (await connected(patience=5.0, signs=True)).client.run(run_id)
    await check_open(run)
    try:
        state = (await (run.pause(by, reason) if name == "pause" else run.resume(by, reason))).state
    except CrowdedError as crowded:
        state = await posted(
            run, crowded, lambda now: now.state if (now.state == "paused") is (name == "pause") else None
        )
    if output is Output.JSON:
        write_json({"run_id": run_id, "state": state})
    else:
        undo = f"; let it go on: backstay resume {word(run_id)}" if state == "paused" else ""
        say(f"{escaped(run_id)}: {state}{as_typed(undo)}")
    return ExitCode.COMPLETED
