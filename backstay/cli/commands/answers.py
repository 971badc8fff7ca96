"""`backstay approve`, `deny`, `edit` and `answer`: show one open approval, then send one person's answer."""

import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from backstay.client.run import Run
from backstay.contracts.approval import EditResult, VoteResult
from backstay.contracts.run import plain
from backstay.errors import ConfigurationError

from ..shell.connected import connected, person
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.options import By, RunId, Written
from ..shell.request import read_arguments
from ..shell.terminal import Output, progress, say, write_json
from ..views.approval import facts

ApprovalId = Annotated[str | None, typer.Argument(metavar="[ID]", help="The approval; may be left out if one is open.")]
Comment = Annotated[str | None, typer.Option("--comment", "-c", help="Why; the model reads why a call was refused.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask again on a terminal.")]
Send = Callable[[Run, str], Awaitable[VoteResult | EditResult]]


@dataclass(frozen=True, slots=True)
class _Answer:
    """Holds what was typed; `question` asks the person whether it is meant."""

    run_id: str
    approval_id: str | None
    question: str
    yes: bool
    output: Output


def approve(
    run_id: RunId,
    approval_id: ApprovalId = None,
    by: By = None,
    comment: Comment = None,
    yes: Yes = False,
    output: Written = Output.TABLE,
) -> int:
    """Release exactly the call that is shown; policy checks it once more before it runs.

    Exit code: 0 taken, 1 refused by the run, 2 usage, 4 not found, 5 Temporal unreachable.
    """
    who = person(by)
    return _ask(
        _Answer(run_id, approval_id, "release it", yes, output), lambda run, chosen: run.approve(chosen, who, comment)
    )


def deny(
    run_id: RunId,
    approval_id: ApprovalId = None,
    by: By = None,
    comment: Comment = None,
    yes: Yes = False,
    output: Written = Output.TABLE,
) -> int:
    """Refuse the call that is shown; the run goes on, and the model is told.

    Exit code: 0 taken, 1 refused by the run, 2 usage, 4 not found, 5 Temporal unreachable.
    """
    who = person(by)
    return _ask(
        _Answer(run_id, approval_id, "refuse it", yes, output), lambda run, chosen: run.deny(chosen, who, comment)
    )


def edit(
    run_id: RunId,
    args: Annotated[str, typer.Option(help="The new arguments, all of them: '{\"amount\": 50}'.")],
    approval_id: ApprovalId = None,
    by: By = None,
    comment: Comment = None,
    yes: Yes = False,
    output: Written = Output.TABLE,
) -> int:
    """Change the arguments of the call that is shown; policy then checks it as a new action, for others to release.

    Exit code: 0 taken, 1 refused by the run, 2 usage, 4 not found, 5 Temporal unreachable.
    """
    given, who = read_arguments(args), person(by)
    question = f"change its arguments to {json.dumps(given, ensure_ascii=False)}"
    return _ask(
        _Answer(run_id, approval_id, question, yes, output), lambda run, chosen: run.edit(chosen, who, given, comment)
    )


def answer(
    run_id: RunId,
    said: Annotated[str, typer.Argument(metavar="ANSWER", help="happened, not_happened or stop.")],
    approval_id: ApprovalId = None,
    result: Annotated[str | None, typer.Option(help="What the call returned if it happened; JSON or text.")] = None,
    by: By = None,
    yes: Yes = False,
    output: Written = Output.TABLE,
) -> int:
    """Say whether a lost call happened: happened, not_happened (the run then makes it), or stop to end the run.

    Exit code: 0 taken, 1 refused by the run, 2 usage, 4 not found, 5 Temporal unreachable.
    """
    who, value = person(by), _value(result)
    return _ask(
        _Answer(run_id, approval_id, f"answer `{said}`", yes, output),
        lambda run, chosen: run.answer(chosen, who, said, value),
    )


def _ask(given: _Answer, send: Send) -> int:
    return run_loop(_answered(given, send))


async def _answered(given: _Answer, send: Send) -> int:
    run = (await connected(patience=5.0)).client.run(given.run_id)
    open_ones = (await run.status()).pending_approvals
    if given.approval_id is None and len(open_ones) != 1:
        known = ", ".join(one.approval_id for one in open_ones) or "none"
        raise ConfigurationError("which approval is meant?", mend=f"open are: {known}")
    wanted = given.approval_id or open_ones[0].approval_id
    # Sent even if it is not open: the run says why it refuses, and its audit keeps who tried.
    approval = next((one for one in open_ones if one.approval_id == wanted), None)
    if approval is not None:
        progress().print(facts(approval))
        if not given.yes and sys.stdin.isatty() and not typer.confirm(f"{given.question}?", err=True):
            say("nothing was done")
            return ExitCode.COMPLETED
    outcome = await send(run, wanted)
    if given.output is Output.JSON:
        write_json(plain(outcome))
    else:
        say(_words(outcome, approval.required if approval else None))
    return ExitCode.COMPLETED


def _words(outcome: VoteResult | EditResult, required: int | None) -> str:
    if isinstance(outcome, EditResult):
        after = f"; it waits for approval {outcome.replaced_by}" if outcome.replaced_by else ""
        return f"changed: policy says {outcome.outcome}{after}"
    if outcome.state == "open":
        return f"taken: {len(outcome.answered_by)} of {required or 'several'} have said yes"
    return "taken: the approval is closed"


def _value(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
