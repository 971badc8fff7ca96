"""The ports to language models and to the rates of their providers' accounts."""

from collections.abc import Callable
from typing import Protocol

from backstay.contracts.conversation import ModelReply, ModelRequest
from backstay.contracts.quota import PacedRate


class Models(Protocol):
    """Language models."""

    async def reply(self, agent: str, request: ModelRequest, call_id: Callable[[int], str]) -> ModelReply:
        """Asks the agent's model once.

        Raises:
            ModelError: no usable reply came; says whether it may have been billed.
            UnservedError: this worker does not serve the agent; nothing was sent.
        """
        ...


class Turns(Protocol):
    """The turns of the calls of providers' accounts in this process."""

    async def take(self, account: str) -> None:
        """Waits until the next call of an account may go out, so that none goes out together with another."""
        ...


class Quotas(Protocol):
    """The rates of providers' accounts, lowered where a provider refuses calls because of them."""

    def throttled(self, account: str, wait_seconds: float | None) -> None:
        """Begins to tell of a refusal; neither waits nor raises.

        Args:
            account: the account that was refused.
            wait_seconds: for how long the provider wants no calls; None where it does not say.
        """


class Rates(Protocol):
    """The rates at which the engine lets the calls of accounts through, in thousandths of a request per minute."""

    async def put(self, account: str, rate: int | None, why: str) -> None:
        """Sets the rate of an account; None takes the limit away.

        Raises:
            HistoryError: the engine does not take it.
        """
        ...

    async def of(self, account: str) -> PacedRate:
        """Returns the rate that is in force for an account.

        Raises:
            HistoryError: the engine could not be asked.
        """
        ...
