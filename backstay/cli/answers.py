"""`backstay approve`, `deny`, `edit` and `answer`: one person's word on one open approval, shown before it is given."""

import json
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, cast

import typer

from backstay.client import Run
from backstay.contracts.approval import EditResult, PendingApproval, VoteResult
from backstay.contracts.run import plain
from backstay.errors import ConfigurationError

from .approvals import facts
from .connected import connected, person
from .exit import ExitCode
from .loop import run_loop
from .terminal import Output, clean, progress, say, write_json

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
ApprovalId = Annotated[str | None, typer.Argument(metavar="[ID]", help="The approval; may be left out if one is open.")]
By = Annotated[str | None, typer.Option(help="Who; default: BACKSTAY_USER, else the login name.")]
Comment = Annotated[str | None, typer.Option("--comment", "-c", help="Why; of a no, the model reads it.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask again on a terminal.")]
Written = Annotated[Output, typer.Option("--output", "-o", help="How the outcome is written.")]
Say = Callable[[Run, PendingApproval], Awaitable[VoteResult | EditResult]]


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
    return _ask(run_id, approval_id, "release it", yes, output, lambda run, a: run.approve(a.approval_id, who, comment))


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
    return _ask(run_id, approval_id, "refuse it", yes, output, lambda run, a: run.deny(a.approval_id, who, comment))


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
    return _ask(run_id, approval_id, question, yes, output, lambda run, a: run.edit(a.approval_id, who, given, comment))


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
    return _ask(
        run_id, approval_id, f"answer `{said}`", yes, output, lambda run, a: run.answer(a.approval_id, who, said, value)
    )


def _ask(run_id: str, approval_id: str | None, question: str, yes: bool, output: Output, word: Say) -> int:
    return run_loop(_answered(run_id, approval_id, question, yes, output, word))


async def _answered(run_id: str, approval_id: str | None, question: str, yes: bool, output: Output, word: Say) -> int:
    run = (await connected(patience=5.0)).client.run(run_id)
    approval = _chosen((await run.status()).pending_approvals, run_id, approval_id)
    progress().print(facts(approval))
    if not yes and sys.stdin.isatty() and not typer.confirm(f"{question}?", err=True):
        say("nothing was done")
        return ExitCode.COMPLETED
    outcome = await word(run, approval)
    if output is Output.JSON:
        write_json(plain(outcome))
    else:
        say(_words(outcome, approval))
    return ExitCode.COMPLETED


def _chosen(open_ones: list[PendingApproval], run_id: str, approval_id: str | None) -> PendingApproval:
    if approval_id is None and len(open_ones) == 1:
        return open_ones[0]
    found = next((one for one in open_ones if one.approval_id == approval_id), None)
    if found is not None:
        return found
    known = ", ".join(one.approval_id for one in open_ones) or "none"
    what = f"`{run_id}` has no open approval `{clean(approval_id)}`" if approval_id else "which approval is meant?"
    raise ConfigurationError(what, mend=f"open are: {known}")


def _words(outcome: VoteResult | EditResult, approval: PendingApproval) -> str:
    if isinstance(outcome, EditResult):
        after = f"; it waits for approval {outcome.replaced_by}" if outcome.replaced_by else ""
        return f"changed: policy says {outcome.outcome}{after}"
    if outcome.state == "open":
        return f"taken: {len(outcome.answered_by)} of {approval.required} have said yes"
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
