"""`backstay policy replay --case`: writes past calls of a run as entries of `cases.toml`."""

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace

from temporalio.exceptions import ApplicationError

from backstay.checks.against_past import conversations_of
from backstay.checks.past_case import PastCall, case_of, first_judged
from backstay.checks.past_runs import Unread, links_of, past_runs, silenced
from backstay.contracts.history import RunRef
from backstay.errors import CodecError, ConfigurationError, HistoryError

from ..shell.connected import Connected, connected
from ..shell.exit import ExitCode
from ..shell.failure import Failure, say_failure
from ..shell.loop import run_loop
from ..shell.terminal import Output, say, write_json
from .policy_past import no_verdict


def case(run_id: str, step: int | None, output: Output) -> int:
    """Writes the calls of a run as cases and returns the exit code.

    Args:
        run_id: the run.
        step: the step of the calls; None for all.
        output: how they are written.
    """
    return run_loop(_case(run_id, step, output))


async def _case(run_id: str, step: int | None, output: Output) -> int:
    silenced()
    link = await connected()
    client, judged, trouble = link.client.temporal, list[tuple[RunRef, PastCall]](), ""
    async with contextlib.aclosing(past_runs(client, await links_of(client, run_id))) as runs:
        async for run in runs:
            if isinstance(run, Unread):
                raise CodecError(run.why)
            judged += [(run.ref, one) for one in first_judged(run, None)]
            trouble = trouble or run.trouble
    calls = [(ref, one) for ref, one in judged if step in (None, one.given.facts.step)]
    if not calls and trouble:
        failure = Failure(
            "NotReplayable", "the calls of the run cannot be told", trouble, "`backstay replay` says more"
        )
        say_failure(failure, as_json=output is Output.JSON)
        return ExitCode.FAILED
    if not calls:
        return no_verdict(step, {one.given.facts.step for _, one in judged}, output)
    # A run that was reset has two links with the same beginning.
    cases = list(dict.fromkeys(case_of(one) for one in await _with_results(link, calls)))
    if output is Output.JSON:
        write_json({"run_id": run_id, "cases": cases})
        return ExitCode.COMPLETED
    sys.stdout.write("\n".join(cases))
    sys.stdout.flush()
    say("append it to the agent's cases.toml; it holds values of a real call: see that none of them is private", "dim")
    return ExitCode.COMPLETED


async def _with_results(link: Connected, calls: Sequence[tuple[RunRef, PastCall]]) -> list[PastCall]:
    """Adds what the run had read, to calls whose rules wanted to know where values came from."""
    conversations = conversations_of(link.client.temporal, link.client.task_queue)
    found: list[PastCall] = []
    for ref, one in calls:
        if one.verdict.origins is not None:
            try:
                before = await conversations.before(ref, one.given.facts.step, one.given.decision)
            except (HistoryError, ApplicationError):
                mend = "write the case by hand: `backstay transcript` shows what it had read"
                raise ConfigurationError("the history does not tell what the run had read", mend=mend) from None
            one = replace(one, items=before.items)
        found.append(one)
    return found
