"""Reads and refuses the messages of people, so that none of them harms the run."""

from collections.abc import Awaitable, Callable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.deeds import PAYLOADS, instead
from backstay.contracts.messages import Grant, Hold, Kill, MessageState, Say, Vote, read_message
from backstay.contracts.problems import C, Contract, Problem, summary
from backstay.kernel.approval import ApprovalKind
from backstay.kernel.characters import escaped
from backstay.kernel.events import MessageRefused
from backstay.kernel.history import MOST_UPDATES

from ..messages import fitting, invalid_input
from .changes import knows
from .clock import Clock
from .prove import Proofs
from .record import Record
from .report import open_state

AUDITED_REFUSALS = 100
ANY_KILL = "a kill ends the run whatever it holds"
ONE_PERSON = "a member may spell the name otherwise"


class Messages:
    """Reads messages; a refusal stands in the audit, the first hundred of a run each with its record.

    `problems` are those of a start that cannot be admitted: nothing can be said to such a run. `signals` and `updates`
    count what entered the history, whatever it held.
    """

    def __init__(self, record: Record, clock: Clock, problems: list[Problem], proofs: Proofs) -> None:
        self._record = record
        self._clock = clock
        self._problems = problems
        self._proofs = proofs
        self.signals = 0
        self.updates = 0

    def read(self, name: str, model: type[C], args: tuple[Any, ...]) -> C:
        """Reads a message.

        Raises:
            ApplicationError: of type `InvalidMessage`; names what does not fit, without its values.
        """
        message = read_message(model, args)
        if isinstance(message, list):
            raise self.refused(name, "InvalidMessage", f"invalid message: {summary(message)}")
        return message

    def kill(self, args: tuple[Any, ...]) -> Kill:
        """Reads a kill: whatever it holds, it ends the run.

        Raises:
            ApplicationError: in the replay of a run that once refused this kill.
        """
        fits = not isinstance(read_message(Kill, args), list)
        return Kill.of(args) if fits or knows(ANY_KILL) else self.read(names.KILL, Kill, args)

    def refused(self, name: str, code: str, text: str, by: str | None = None) -> ApplicationError:
        """Takes a refusal down, and returns the error that says it."""
        if self._record.state.refused_messages < AUDITED_REFUSALS:
            self._record.apply(MessageRefused(name, code, by))
            by_whom = f" by {escaped(by)}" if by else ""
            workflow.logger.warning(f"refused `{name}`{by_whom}: {code}; {instead(name, code)}")
        return ApplicationError(text, type=code, non_retryable=True)

    async def unknown(self, name: str) -> Contract:
        """Refuses a signal of a name that the run does not know, which it would otherwise keep unread.

        Raises:
            ApplicationError: of type `UnknownMessage`.
        """
        known = name if name in PAYLOADS else "unknown"
        raise self.refused(known, names.UNKNOWN_MESSAGE, "the run takes no signal of that name")

    def unknown_approval(self, name: str, vote: Vote) -> ApplicationError:
        """Takes down that a message answers an approval which the run does not have, and returns the error."""
        return self.refused(name, "ApprovalUnknown", "the run has no approval of that id", vote.by)

    def check_approval(self, name: str, vote: Vote, *, releases: bool = True) -> None:
        """Checks that a message answers an open approval, and comes from somebody who may answer it.

        Args:
            name: the message's name.
            vote: the message.
            releases: whether the message releases a call, or refuses to; else it says what became of one.

        Raises:
            ApplicationError: the approval is unknown or closed, or this person may not answer it.
        """
        approval = self._record.state.approvals.get(vote.approval_id)
        if approval is None:
            raise self.unknown_approval(name, vote)
        if approval.kind.releases is not releases:
            text = "this approval asks what became of a call: use `answer`"
            if approval.kind is ApprovalKind.QUESTION:
                text = "this approval asks a question: use `answer`"
            if not releases:
                text = "this approval asks for a release: use `approve` or `deny`"
            raise self.refused(name, "WrongKind", text, vote.by)
        if approval.kind is ApprovalKind.BUDGET and name == names.EDIT:
            raise self.refused(
                name, "NotEditable", "this approval asks for more budget: use `approve` or `deny`", vote.by
            )
        if self._record.state.frozen and name in (names.APPROVE, names.EDIT):
            text = f"the run is frozen by the incident {self._record.state.frozen[0]}"
            raise self.refused(name, "Frozen", text, vote.by)
        if refusal := approval.refuses(vote.by, self._clock.now_ms()):
            raise self.refused(name, refusal.code, refusal.text, vote.by)
        if not approval.lists(vote.by) and not knows(ONE_PERSON):
            # Only the replay of a run that refused this spelling of a member once.
            raise self.refused(name, "NotInGroup", "only members may answer", vote.by)

    async def check_sender(self, name: str, message: Vote | Hold | Grant | Say) -> None:
        """Checks that a message is from the person it names, as far as the run wants proofs of it.

        Raises:
            ApplicationError: it is not, or that cannot be told now.
        """
        if refusal := await self._proofs.refuses(name, message):
            raise self.refused(name, refusal.code, refusal.text, message.by)

    @property
    def proofs_required(self) -> bool:
        """True where the run counts no message without a proof."""
        return self._proofs.stance == "required"

    def validate(self, model: type[C], args: tuple[Any, ...]) -> None:
        """Rejects an update before it enters the history: where the run never began, or the run had too many.

        A kill is never one too many.

        Raises:
            ApplicationError: of type `InvalidInput`, `InvalidMessage` or `TooManyUpdates`.
        """
        if self._problems:
            raise invalid_input(self._problems)
        if model is not Kill and self.updates >= MOST_UPDATES:
            text = f"the run takes {MOST_UPDATES} updates and had as many: send this as a signal"
            raise ApplicationError(text, type=names.TOO_MANY_UPDATES, non_retryable=True)
        if model is not Kill and self._record.state.refused_messages >= AUDITED_REFUSALS:
            fitting(model, args or ({},))

    async def quietly(self, handle: Callable[[tuple[Any, ...]], Awaitable[Contract]], args: tuple[Any, ...]) -> None:
        """Handles a signal: nobody waits for an answer, and a refusal stands in the audit."""
        self.signals += 1
        if self._problems:
            return
        try:
            await handle(args)
        except ApplicationError:
            return

    def state(self) -> MessageState:
        """Returns what an accepted message answers."""
        return MessageState(state=open_state(self._record))
