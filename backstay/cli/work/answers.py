"""`backstay approve`, `deny`, `edit` and `answer`: show one open approval, then send one person's answer."""

import json
import shlex
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import typer

from backstay.client.run import Run
from backstay.contracts.approval import EditResult, PendingApproval, VoteResult
from backstay.contracts.run import plain
from backstay.contracts.status import RunStatusView
from backstay.errors import ConfigurationError, CrowdedError, RefusedError
from backstay.kernel.characters import escaped
from backstay.kernel.person import same_person

from ..shell.connected import connected, person
from ..shell.ended import check_open
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.posted import posted
from ..shell.program import as_typed
from ..shell.request import read_arguments, read_grant
from ..shell.terminal import Output, progress, say, word, write_json
from ..views.answered import taken, who_instead
from ..views.approval import facts

_OTHERS_MAY = frozenset({"NotInGroup", "RequesterMayNotApprove", "EditorMayNotApprove", "AlreadyAnswered"})
"""Reasons why an answer of one person does not count where that of another would."""

Send = Callable[[Run, str], Awaitable[VoteResult | EditResult]]


@dataclass(frozen=True, slots=True)
class _Answer:
    """Holds what was typed.

    Attributes:
        question: asks the person whether it is meant.
        verb: `approve`, `deny`, `edit` or `answer`.
        said: the answer about a lost call.
        args: the new arguments, as they were typed.
        grant: the parts of a standing grant, as they were typed.
    """

    run_id: str
    approval_id: str | None
    question: str
    yes: bool
    output: Output
    verb: str
    digest: str | None = None
    said: str | None = None
    args: str | None = None
    grant: Sequence[str] = ()

    def line(self, approval_id: str) -> str:
        """Returns the command that gives this answer to one approval."""
        said = [self.said] if self.said else []
        args = ["--args", shlex.quote(self.args)] if self.args else []
        grant = [part for one in self.grant for part in ("--grant", shlex.quote(one))]
        return " ".join(["backstay", self.verb, word(self.run_id), *said, word(approval_id), *args, *grant])

    def chosen(self, open_ones: Sequence[PendingApproval]) -> tuple[str, PendingApproval | None]:
        """Returns the id of the approval that is meant, and the approval if it is open.

        Raises:
            ConfigurationError: several could be meant.
            RefusedError: none has the digest.
        """
        fitting = [one for one in open_ones if self.digest in (None, one.digest)]
        if self.approval_id is not None:
            fitting = [one for one in fitting if one.approval_id == self.approval_id]
        if self.digest is not None and not fitting:
            raise RefusedError(self.run_id, "DigestDiffers", "no open approval has that digest; read the card again")
        if self.approval_id is None and len(fitting) != 1:
            mend = " · ".join(self.line(one.approval_id) for one in fitting)
            raise ConfigurationError("which approval is meant?", mend=mend)
        # Sent even if it is not open: the run says why it refuses, and its audit keeps who tried.
        return self.approval_id or fitting[0].approval_id, fitting[0] if fitting else None


def approve(
    run_id: str,
    approval_id: str | None,
    digest: str | None,
    grant: Sequence[str],
    by: str | None,
    comment: str | None,
    yes: bool,
    output: Output,
) -> int:
    """Runs `backstay approve` and returns its exit code."""
    who, terms = person(by), read_grant(grant)
    beyond = f", and let further calls like it through ({', '.join(grant)})" if terms else ""
    return _ask(
        _Answer(run_id, approval_id, f"release it{beyond}", yes, output, "approve", digest, grant=grant),
        lambda run, chosen: run.approve(chosen, who, comment, terms),
    )


def deny(run_id: str, approval_id: str | None, by: str | None, comment: str | None, yes: bool, output: Output) -> int:
    """Runs `backstay deny` and returns its exit code."""
    who = person(by)
    return _ask(
        _Answer(run_id, approval_id, "refuse it", yes, output, "deny"),
        lambda run, chosen: run.deny(chosen, who, comment),
    )


def edit(
    run_id: str, args: str, approval_id: str | None, by: str | None, comment: str | None, yes: bool, output: Output
) -> int:
    """Runs `backstay edit` and returns its exit code."""
    given, who = read_arguments(args), person(by)
    question = f"change its arguments to {json.dumps(given, ensure_ascii=False)}"
    return _ask(
        _Answer(run_id, approval_id, question, yes, output, "edit", args=args),
        lambda run, chosen: run.edit(chosen, who, given, comment),
    )


def answer(
    run_id: str,
    said: str,
    approval_id: str | None,
    result: str | None,
    digest: str | None,
    by: str | None,
    yes: bool,
    output: Output,
) -> int:
    """Runs `backstay answer` and returns its exit code."""
    who, value = person(by), _value(result)
    return _ask(
        _Answer(run_id, approval_id, f"answer `{said}`", yes, output, "answer", digest, word(said)),
        lambda run, chosen: run.answer(chosen, who, said, value),
    )


def _ask(given: _Answer, send: Send) -> int:
    return run_loop(_answered(given, send))


async def _answered(given: _Answer, send: Send) -> int:
    run = (await connected(patience=5.0, signs=True)).client.run(given.run_id)
    await check_open(run)
    status = await run.status()
    if not status.pending_approvals and given.approval_id is None:
        what = f"nothing waits for approval in `{escaped(given.run_id)}`: its state is `{status.state}`"
        raise ConfigurationError(what, mend=f"backstay watch {word(given.run_id)} follows it")
    wanted, approval = given.chosen(status.pending_approvals)
    if approval is not None:
        progress().print(facts(given.run_id, approval))
        if not given.yes and sys.stdin.isatty() and not typer.confirm(f"{given.question}?", err=True):
            say("nothing was done")
            return ExitCode.COMPLETED
    try:
        outcome = await send(run, wanted)
    except CrowdedError as crowded:
        outcome = await posted(run, crowded, partial(_voted, wanted, crowded.message["by"]))
    except RefusedError as refused:
        if approval is not None and refused.reason in _OTHERS_MAY:
            refused.mend = who_instead(approval, given.line(wanted))
        raise
    if given.output is Output.JSON:
        write_json(plain(outcome))
    else:
        said = given.said or given.verb
        say(as_typed(taken(outcome, said, approval.required if approval else None, given.run_id)))
    return ExitCode.COMPLETED


def _voted(approval_id: str, by: str, status: RunStatusView) -> VoteResult | None:
    """Returns what a status tells of an answer: the approval is closed, or counts this person; None where neither."""
    for one in status.pending_approvals:
        if one.approval_id == approval_id:
            mine = any(same_person(by, other) for other in one.answered_by)
            return VoteResult(approval_id=approval_id, state="open", answered_by=one.answered_by) if mine else None
    return VoteResult(approval_id=approval_id, state="closed", answered_by=[])


def _value(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
