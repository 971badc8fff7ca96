"""`backstay say`: says more to a run that its agent keeps open."""

from rich.text import Text

from backstay.client.run import Run
from backstay.contracts.messages import SayResult
from backstay.contracts.run import plain
from backstay.errors import ConfigurationError
from backstay.kernel.characters import escaped

from ..shell.connected import connected, person
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.terminal import Output, clean, write, write_json
from ..shell.terminal import say as tell


def say(run_id: str, text: str | None, by: str | None, output: Output, *, close: bool, wait: bool) -> int:
    """Runs `backstay say` and returns its exit code."""
    if text is None and not close:
        raise ConfigurationError("there is nothing to say", mend="write `backstay say RUN 'TEXT'`, or `--close`")
    return run_loop(_say(run_id, text, person(by), output, close=close, wait=wait))


async def _say(run_id: str, text: str | None, by: str, output: Output, *, close: bool, wait: bool) -> int:
    run = (await connected(patience=5.0, signs=True)).client.run(run_id)
    taken = await run.say(by, text, close=close)
    if wait:
        return await _answered(run, taken, output)
    if output is Output.JSON:
        write_json({"run_id": run_id, **plain(taken)})
    else:
        tell(f"{escaped(run_id)}: turn {taken.turn}, {taken.state}")
    return ExitCode.COMPLETED


async def _answered(run: Run, taken: SayResult, output: Output) -> int:
    answer = await run.answered()
    if output is Output.JSON:
        write_json({"run_id": run.run_id, **plain(taken), "answer": answer})
    elif answer is None:
        tell(f"{escaped(run.run_id)}: ended without an answer to this")
    else:
        write(Text(clean(answer)))
    return ExitCode.FAILED if answer is None else ExitCode.COMPLETED
