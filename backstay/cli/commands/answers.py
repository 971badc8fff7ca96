"""`backstay approve`, `deny`, `edit` and `answer`: one person's word on one open approval, shown before it is given."""

import json
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, cast

import typer

from backstay.client.run import Run
from backstay.contracts.approval import EditResult, VoteResult
from backstay.contracts.run import plain
from backstay.errors import ConfigurationError

from ..shell.connected import connected, person
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.terminal import Output, progress, say, write_json
from .approvals import facts

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
ApprovalId = Annotated[str | None, typer.Argument(metavar="[ID]", help="The approval; may be left out if one is open.")]
By = Annotated[str | None, typer.Option(help="Who; default: BACKSTAY_USER, else the login name.")]
Comment = Annotated[str | None, typer.Option("--comment", "-c", help="Why; of a no, the model reads it.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask again on a terminal.")]
Written = Annotated[Output, typer.Option("--output", "-o", help="How the outcome is written.")]
Say = Callable[[Run, str], Awaitable[VoteResult | EditResult]]


def approve(
    run_id: RunId,
    approval_id: ApprovalId = None,
    by: By = None,
    comment: Comment = None,
    yes: Yes = False,
    output: Written = Output.TABLE,
) -> int:
    """Release exactly the call that is shown; it is judged once more before it is executed.

    Exit code: 0 taken, 1 refused by the run, 2 usage, 4 not found, 5 Temporal unreachable.
    """
    who = person(by)
    return _ask(run_id, approval_id, "release it", yes, output, lambda run, a: run.approve(a, who, comment))


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
    return _ask(run_id, approval_id, "refuse it", yes, output, lambda run, a: run.deny(a, who, comment))


def edit(
    run_id: RunId,
    args: Annotated[str, typer.Option(help="The new arguments, all of them: '{\"amount\": 50}'.")],
    approval_id: ApprovalId = None,
    by: By = None,
    comment: Comment = None,
    yes: Yes = False,
    output: Written = Output.TABLE,
) -> int:
    """Change the arguments of the call that is shown; it is then judged as a new action, for others to release.

    Exit code: 0 taken, 1 refused by the run, 2 usage, 4 not found, 5 Temporal unreachable.
    """
    given, who = _arguments(args), person(by)
    question = f"change its arguments to {json.dumps(given, ensure_ascii=False)}"
    return _ask(run_id, approval_id, question, yes, output, lambda run, a: run.edit(a, who, given, comment))


def answer(
    run_id: RunId,
    said: Annotated[str, typer.Argument(metavar="ANSWER", help="happened, not_happened or stop.")],
    approval_id: ApprovalId = None,
    result: Annotated[str | None, typer.Option(help="What the call returned, where it happened; JSON or text.")] = None,
    by: By = None,
    yes: Yes = False,
    output: Written = Output.TABLE,
) -> int:
    """Say what became of a call whose end nobody saw: it happened, it did not (and is done now), or stop the run.

    Exit code: 0 taken, 1 refused by the run, 2 usage, 4 not found, 5 Temporal unreachable.
    """
    who, value = person(by), _value(result)
    return _ask(run_id, approval_id, f"answer `{said}`", yes, output, lambda run, a: run.answer(a, who, said, value))


def _ask(run_id: str, approval_id: str | None, question: str, yes: bool, output: Output, word: Say) -> int:
    return run_loop(_answered(run_id, approval_id, question, yes, output, word))


async def _answered(run_id: str, approval_id: str | None, question: str, yes: bool, output: Output, word: Say) -> int:
    run = (await connected(patience=5.0)).client.run(run_id)
    open_ones = (await run.status()).pending_approvals
    if approval_id is None and len(open_ones) != 1:
        known = ", ".join(one.approval_id for one in open_ones) or "none"
        raise ConfigurationError("which approval is meant?", mend=f"open are: {known}")
    wanted = approval_id or open_ones[0].approval_id
    # One that is not open is asked for all the same: the run says why it refuses, and its audit keeps who tried.
    approval = next((one for one in open_ones if one.approval_id == wanted), None)
    if approval is not None:
        progress().print(facts(approval))
        if not yes and sys.stdin.isatty() and not typer.confirm(f"{question}?", err=True):
            say("nothing was done")
            return ExitCode.COMPLETED
    outcome = await word(run, wanted)
    if output is Output.JSON:
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


def _arguments(text: str) -> dict[str, Any]:
    value = _value(text)
    if not isinstance(value, dict):
        raise ConfigurationError("`--args` is no JSON object", mend="write all arguments: '{\"amount\": 50}'")
    return cast("dict[str, Any]", value)


def _value(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
