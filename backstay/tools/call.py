"""Holds what a tool is told about its call, and the answers of a `reconcile` function."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from backstay.contracts.asked import Replies
from backstay.errors import SecretError
from backstay.kernel.money import parse_usd


@dataclass(frozen=True, slots=True)
class Happened:
    """Answers that the call with this key did happen.

    Attributes:
        result: what the call returned.
    """

    result: Any = None


class Unsettled(Enum):
    """Answers that the call did not happen, or that the `reconcile` function cannot tell."""

    NOT_HAPPENED = "not_happened"
    UNKNOWN = "unknown"


NOT_HAPPENED = Unsettled.NOT_HAPPENED
UNKNOWN = Unsettled.UNKNOWN


def no_secret(name: str) -> str:
    """Refuses to read a secret, for a `ToolCall` that no worker made.

    Raises:
        SecretError: always.
    """
    raise SecretError(f"the secret `{name}` can be read in a call of a worker only; a test gives `read_secret`")


def no_bill(micros: int) -> None:
    """Drops a reported cost, for a `ToolCall` that no worker made."""


def no_server(was: str, now: str) -> None:
    """Drops the news of another server, for a `ToolCall` that no worker made."""


def no_alarm(reason: str) -> None:
    """Drops an alarm, for a `ToolCall` that no worker made."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """Tells a tool about its call; a tool gets it by naming it as its first parameter.

    Attributes:
        run_id: the run's id.
        step: the step of the run, from 1.
        call_id: the call's id in the conversation.
        idempotency_key: stays the same over attempts, worker crashes and resets of one call, and differs for every
            other call; pass it on to whatever performs the effect.
        agent: the agent's name.
        tenant: for whom the run works.
        metadata: what the start of the run carried.
        read_secret: reads a secret for `secret`; the call itself holds no value.
        take_cost: takes what `report_cost` reports, in micro-dollars.
        take_alarm: takes the reason that `raise_alarm` gives.
        replies: what people replied to the server of an MCP tool, where it has asked in this call.
        take_server: takes the name and version that the server of an MCP tool gave itself when the worker started, and
            those of now, where they differ.
    """

    run_id: str
    step: int
    call_id: str
    idempotency_key: str
    agent: str
    tenant: str
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    read_secret: Callable[[str], str] = field(default=no_secret, repr=False, compare=False)
    take_cost: Callable[[int], None] = field(default=no_bill, repr=False, compare=False)
    take_alarm: Callable[[str], None] = field(default=no_alarm, repr=False, compare=False)
    replies: Replies | None = field(default=None, repr=False, compare=False)
    take_server: Callable[[str, str], None] = field(default=no_server, repr=False, compare=False)

    def report_cost(self, usd: str) -> None:
        """Reports what the call really cost; the last report counts.

        A tool with `@tool(cost=...)` that reports nothing is charged the whole declared cost.

        Args:
            usd: US dollars as a decimal string.

        Raises:
            MoneyError: the text is no amount of US dollars.
        """
        self.take_cost(parse_usd(usd))

    def raise_alarm(self, reason: str) -> None:
        """Asks for a stop, where a breaker of org.toml heeds alarms (`on = "alarm"`); the call goes on as it would.

        The alarm stands in the worker's log and in the run's audit. An attempt raises one; further ones are dropped.

        Args:
            reason: what is wrong, in a sentence; secrets are taken out, and at most 500 characters are kept.
        """
        self.take_alarm(str(reason))

    def secret(self, name: str) -> str:
        """Returns the present value of a secret that the tool declares: `@tool(secrets=["SHOP_TOKEN"])`.

        Raises:
            SecretError: the tool has not declared the secret, or the worker has none of that name.
        """
        return self.read_secret(name)
