"""Reads and refuses the messages of people, so that none of them harms the run."""

from collections.abc import Callable
from typing import Any, Protocol

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from backstay.contracts.messages import M, MessageState, Vote, read_message
from backstay.contracts.problems import Contract, Problem, summary
from backstay.contracts.run import plain
from backstay.kernel.approval import ApprovalKind
from backstay.kernel.events import MessageRefused

from ..messages import fitting, invalid_input
from .clock import Clock
from .record import Record
from .report import open_state

AUDITED_REFUSALS = 100


class Messages:
    """Reads messages; a refusal stands in the audit, the first hundred of a run each with its record.

    `problems` are those of a start that cannot be admitted: nothing can be said to such a run.
    """

    def __init__(self, record: Record, clock: Clock, problems: list[Problem]) -> None:
        self._record = record
        self._clock = clock
        self._problems = problems

    def read(self, name: str, model: type[M], args: tuple[Any, ...]) -> M:
        """Reads a message.

        Raises:
            ApplicationError: of type `InvalidMessage`; names what does not fit, without its values.
        """
        message = read_message(model, args)
        if isinstance(message, list):
            raise self.refused(name, "InvalidMessage", f"invalid message: {summary(message)}")
        return message

    def refused(self, name: str, code: str, text: str, by: str | None = None) -> ApplicationError:
        """Takes a refusal down, and returns the error that says it."""
        if self._record.state.refused_messages < AUDITED_REFUSALS:
            self._record.apply(MessageRefused(name, code, by))
        return ApplicationError(text, type=code, non_retryable=True)

    def unknown_approval(self, name: str, vote: Vote) -> ApplicationError:
        """Takes down that a message answers an approval which the run does not have, and returns the error."""
        return self.refused(name, "ApprovalUnknown", "the run has no approval of that id", vote.by)

    def check_approval(self, name: str, vote: Vote, kind: ApprovalKind = ApprovalKind.ACTION) -> None:
        """Checks that a message answers an open approval, and comes from somebody who may answer it.

        Raises:
            ApplicationError: the approval is unknown or closed, or this person may not answer it.
        """
        approval = self._record.state.approvals.get(vote.approval_id)
        if approval is None:
            raise self.unknown_approval(name, vote)
        if approval.kind is not kind:
            text = "this approval asks what became of a call: use `answer`"
            if kind is not ApprovalKind.ACTION:
                text = "this approval asks for a release: use `approve` or `deny`"
            raise self.refused(name, "WrongKind", text, vote.by)
        if refusal := approval.refuses(vote.by, self._clock.now_ms()):
            raise self.refused(name, refusal.code, refusal.text, vote.by)

    def validate(self, model: type[M], args: tuple[Any, ...]) -> None:
        """Rejects an update before it enters the history: where the run never began, or refusals are too many.

        Raises:
            ApplicationError: of type `InvalidInput` or `InvalidMessage`.
        """
        if self._problems:
            raise invalid_input(self._problems)
        if self._record.state.refused_messages >= AUDITED_REFUSALS:
            fitting(model, args or ({},))

    def quietly(self, handle: Callable[[tuple[Any, ...]], Contract], args: tuple[Any, ...]) -> None:
        """Handles a signal: nobody waits for an answer, and a refusal stands in the audit."""
        if self._problems:
            return
        try:
            handle(args)
        except ApplicationError:
            return

    def state(self) -> MessageState:
        """Returns what an accepted message answers."""
        return MessageState(state=open_state(self._record.state))


class Receiver(Protocol):
    """A workflow that receives messages."""

    @property
    def messages(self) -> Messages:
        """Reads and refuses them."""
        ...


def accepts(
    name: str, description: str, model: type[Contract], handle: Callable[[Any, tuple[Any, ...]], Contract]
) -> tuple[Callable[..., None], Callable[..., Any]]:
    """Returns the signal and the update of one name, for the body of a workflow class; `handle` does what both mean.

    They take any arguments and read them by hand: a message that does not fit is refused, and harms nothing.
    """

    @workflow.signal(name=name, description=description)
    def signal(self: Receiver, *args: Any) -> None:
        self.messages.quietly(lambda given: handle(self, given), args)

    @workflow.update(name=name, description=description)
    def update(self: Receiver, *args: Any) -> dict[str, Any]:
        return plain(handle(self, args))

    @update.validator
    def fits(self: Receiver, *args: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        self.messages.validate(model, args)

    return signal, update
