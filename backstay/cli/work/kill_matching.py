"""`backstay kill` with filters: lists the open runs that match, asks, and kills them all."""

import time
from collections import Counter
from collections.abc import Sequence

from backstay.client.fleet import Listed, RunFilter, runs
from backstay.client.kills import Account, Kills, Outcome
from backstay.client.run_filter import CLOSED_STATES, REASONS, STATES
from backstay.contracts.messages import Kill, read_message
from backstay.errors import ConfigurationError, InvalidInputError
from backstay.kernel.characters import escaped

from ..shell.asking import Asking
from ..shell.choice import known
from ..shell.connected import Connected, connected, person
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.program import program
from ..shell.queue import said_elsewhere
from ..shell.terminal import Output, one_line, progress, say, word, write, write_json
from ..shell.typed import Typed, is_interactive
from ..views.columns import Columns
from ..views.runs import runs_table

_PATIENCE = 5.0
_DETAIL = 200
_SAID_EVERY = 1.0
_YES = ("y", "yes")


def kill_matching(wanted: RunFilter, reason: str | None, by: str | None, yes: bool, output: Output) -> int:
    """Runs `backstay kill` with filters and returns its exit code."""
    filters = _filters(wanted)
    _check(wanted, reason)
    if not yes and not is_interactive():
        look = f"`{program()} list {filters}` shows what matches"
        raise ConfigurationError("nobody can be asked whether to kill all that match", mend=f"add `--yes`; {look}")
    order = read_message(Kill, ({"by": person(by), "reason": reason or f"all runs that match {filters}"},))
    if isinstance(order, list):
        raise InvalidInputError(order)
    return run_loop(_kill(wanted, order, yes, output))


def _filters(wanted: RunFilter) -> str:
    """Returns the filters as they are typed.

    Raises:
        ConfigurationError: there are none.
    """
    given = {
        "--state": wanted.state,
        "--agent": wanted.agent,
        "--tenant": wanted.tenant,
        "--stop-reason": wanted.stop_reason,
    }
    typed = " ".join(f"{name} {word(value)}" for name, value in given.items() if value is not None)
    if not typed:
        mend = "give its id, or at least one of --agent, --state, --tenant and --stop-reason"
        raise ConfigurationError("which run is to be killed?", mend=mend)
    return typed


def _check(wanted: RunFilter, reason: str | None) -> None:
    known("state", wanted.state, STATES)
    known("stop reason", wanted.stop_reason, REASONS)
    if wanted.state in CLOSED_STATES:
        raise ConfigurationError(f"runs in state `{wanted.state}` have closed", mend="choose among open ones")
    if reason is not None and not reason.strip():
        raise ConfigurationError("the reason is empty", mend="write it as `--reason WHY`")


async def _kill(wanted: RunFilter, order: Kill, yes: bool, output: Output) -> int:
    link = await connected(patience=_PATIENCE)
    kills = Kills(link.client, order.by, order.reason, _Progress())
    found = await _open(link, wanted)
    if not found and (output is Output.JSON or not await said_elsewhere(link)):
        say("no open run matches")
    if found and await _meant(found, yes):
        await kills.kill([one.run_id for one in found])
        # Whatever started or came to match while the others were killed; then the sweep ends.
        late = [one for one in await _open(link, wanted) if one.run_id not in kills.accounts]
        if late:
            say(f"meanwhile {_count(len(late))} came to match")
            await kills.kill([one.run_id for one in late])
    accounts = list(kills.accounts.values())
    if output is Output.JSON:
        write_json(_as_json(accounts))
    elif accounts:
        write(_table(accounts))
        say(", ".join(f"{count} {outcome}" for outcome, count in _counts(accounts).items() if count))
    failed = any(one.outcome is Outcome.COULD_NOT for one in accounts)
    return ExitCode.FAILED if failed else ExitCode.COMPLETED


async def _open(link: Connected, wanted: RunFilter) -> list[Listed]:
    """Returns the open runs that match, each once."""
    asking = Asking(link) if await link.client.workers() else None
    queue = link.client.task_queue
    found = {one.run_id: one async for one in runs(link.client.temporal, wanted, task_queue=queue, ask=asking)}
    return [one for one in found.values() if one.open]


async def _meant(found: Sequence[Listed], yes: bool) -> bool:
    """Shows what is to be killed; asks the person at the terminal unless they said yes before."""
    progress().print(runs_table(found))
    if yes:
        return True
    say(f"kill {_count(len(found))}, and those that come to match meanwhile? [y/N]")
    with Typed() as typed:
        answer = await typed.line()
    if answer is not None and answer.lower() in _YES:
        return True
    say("nothing was done")
    return False


def _count(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"


class _Progress:
    """Says on stderr how many runs are accounted for, once a second at most."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._said >= _SAID_EVERY:
            self._said = time.monotonic()
            say(f"{done} of {_count(total)} accounted for", "dim")


def _counts(accounts: Sequence[Account]) -> dict[str, int]:
    counted = Counter(one.outcome for one in accounts)
    return {outcome.value: counted[outcome] for outcome in Outcome}


def _as_json(accounts: Sequence[Account]) -> dict[str, object]:
    rows = [{"run_id": one.run_id, "outcome": one.outcome.value, "detail": one.detail} for one in accounts]
    return {"runs": rows, "counts": _counts(accounts)}


def _table(accounts: Sequence[Account]) -> Columns:
    table = Columns(("run", "outcome", "detail"))
    for one in accounts:
        table.add(escaped(one.run_id), one.outcome.replace("_", " "), one_line(one.detail or "", _DETAIL))
    return table
