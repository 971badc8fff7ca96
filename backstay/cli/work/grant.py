"""`backstay grant`: adds to limits of a running run."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from backstay.contracts.budget import BudgetLimits
from backstay.contracts.messages import GrantResult
from backstay.contracts.run import plain
from backstay.contracts.status import RunStatusView
from backstay.errors import ConfigurationError, CrowdedError
from backstay.kernel.characters import escaped
from backstay.kernel.grant import words_of
from backstay.kernel.person import same_person

from ..shell.connected import connected, person
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.posted import posted
from ..shell.request import read_budget
from ..shell.terminal import Output, say, write_json


def grant(run_id: str, amounts: Sequence[str], reason: str, by: str | None, output: Output) -> int:
    """Runs `backstay grant` and returns its exit code."""
    if not reason.strip():
        raise ConfigurationError("a grant needs a reason", mend="write it as `--reason WHY`")
    return run_loop(_grant(run_id, read_budget(",".join(amounts), "NAME=AMOUNT"), reason, person(by), output))


async def _grant(run_id: str, budget: dict[str, Any], reason: str, by: str, output: Output) -> int:
    run = (await connected(patience=5.0, signs=True)).client.run(run_id)
    try:
        result = await run.grant(by, reason, budget)
    except CrowdedError as crowded:
        result = await posted(run, crowded, partial(_taken, by, reason))
    if output is Output.JSON:
        write_json({"run_id": run_id, **plain(result)})
    else:
        added = words_of(BudgetLimits.model_validate(budget).limits())
        say(f"{escaped(run_id)}: granted {added}; limits now: {words_of(result.budget.limits())}")
    return ExitCode.COMPLETED


def _taken(by: str, reason: str, status: RunStatusView) -> GrantResult | None:
    """Returns the limits as a status tells them, once this person's grant is among the latest deeds."""
    mine = (deed for deed in status.people if deed.did == "granted" and same_person(by, deed.by))
    if any((deed.comment or "").endswith(reason) for deed in mine):
        return GrantResult(state=status.state, budget=status.budget)
    return None
