"""`backstay approve`, `deny`, `edit` and `answer`: show one open approval, then send one person's answer."""

from typing import Annotated

import typer

from ..shell.options import By, RunId, Written
from ..shell.output import Output

ApprovalId = Annotated[str | None, typer.Argument(metavar="[ID]", help="The approval; may be left out if one is open.")]

Comment = Annotated[str | None, typer.Option("--comment", "-c", help="Why; the model reads why a call was refused.")]

Digest = Annotated[str | None, typer.Option(help="Answer only if the open call has this digest, as its card shows.")]

Grant = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="Let further calls like it through: `uses=20`, `until=8h`, `exposure.refunds_usd=2000`; may be repeated.",
    ),
]

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask again on a terminal.")]


def approve(
    run_id: RunId,
    approval_id: ApprovalId = None,
    digest: Digest = None,
    grant: Grant = None,
    by: By = None,
    comment: Comment = None,
    yes: Yes = False,
    output: Written = Output.TABLE,
) -> int:
    """Release exactly the call that is shown; policy checks it once more before it runs.

    With --grant, further calls of the same tool, agent, tenant and rules go through without asking, where the rules
    allow it with @grantable. `backstay grants` lists and revokes them.

    Exit code: 0 taken, 1 refused by the run, 2 usage, 4 not found, 5 Temporal unreachable.
    """
    from ..work import answers as work

    return work.approve(run_id, approval_id, digest, grant or (), by, comment, yes, output)


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
    from ..work import answers as work

    return work.deny(run_id, approval_id, by, comment, yes, output)


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
    from ..work import answers as work

    return work.edit(run_id, args, approval_id, by, comment, yes, output)


def answer(
    run_id: RunId,
    said: Annotated[
        str, typer.Argument(metavar="ANSWER", help="happened, not_happened or stop; the words for a question.")
    ],
    approval_id: ApprovalId = None,
    result: Annotated[str | None, typer.Option(help="What the call returned if it happened; JSON or text.")] = None,
    digest: Digest = None,
    by: By = None,
    yes: Yes = False,
    output: Written = Output.TABLE,
) -> int:
    """Say whether a lost call happened: happened, not_happened (the run then makes it), or stop to end the run.

    A question of the model is answered with words, or with one of the choices that it shows.

    Exit code: 0 taken, 1 refused by the run, 2 usage, 4 not found, 5 Temporal unreachable.
    """
    from ..work import answers as work

    return work.answer(run_id, said, approval_id, result, digest, by, yes, output)
