"""The messages that a run takes as a signal and as an update of one name."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from temporalio import workflow

from backstay.contracts import names
from backstay.contracts.deeds import PAYLOADS
from backstay.contracts.messages import Answer, Approve, Grant, Hold, Kill, Say, Vote
from backstay.contracts.problems import Contract
from backstay.contracts.run import plain

from .messages import Messages

_MEANT: Mapping[str, tuple[str, type[Contract]]] = {
    names.APPROVE: ("Release the call of an open approval", Approve),
    names.DENY: ("Refuse the call", Vote),
    names.ANSWER: ("Say what became of a call", Answer),
    names.GRANT: ("Add to limits of the run", Grant),
    names.KILL: ("End the run", Kill),
    names.PAUSE: ("No new decision or action until resumed", Hold),
    names.RESUME: ("Let a paused run go on", Hold),
    names.SAY: ("Say more to a run that is kept open, or close it", Say),
}


class Receiver(Protocol):
    """A workflow that receives messages."""

    @property
    def messages(self) -> Messages:
        """Reads and refuses them."""
        ...

    async def receive(self, name: str, args: tuple[Any, ...]) -> Contract:
        """Does what a message asks for."""
        ...


def _accepted(name: str, meaning: str, model: type[Contract]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Returns the signal and the update of one name, for the body of a workflow class.

    They take any arguments and read them by hand: a message that does not fit is refused, and harms nothing.
    """
    description = f"{meaning}. Payload: {PAYLOADS[name]}"

    @workflow.signal(name=name, description=description)
    async def signal(self: Receiver, *args: Any) -> None:
        await self.messages.quietly(lambda given: self.receive(name, given), args)

    @workflow.update(name=name, description=description)
    async def update(self: Receiver, *args: Any) -> dict[str, Any]:
        self.messages.updates += 1
        return plain(await self.receive(name, args))

    @update.validator
    def fits(self: Receiver, *args: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        self.messages.validate(model, args)

    return signal, update


# Made once: what the SDK reads of a handler is the same for each run, and takes long.
ACCEPTED = {name: _accepted(name, *meant) for name, meant in _MEANT.items()}
"""The signal and the update of each name."""
