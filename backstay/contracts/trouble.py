"""Tells a run that its model does not answer: only figures and words of ours, for people to read."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field

from .problems import Contract
from .quota import Account

Kind = Literal["unreachable", "rate_limited", "overloaded", "refused", "timeout", "lost", "unreadable", "too_long"]
_SAID: dict[Kind, str] = {
    "unreachable": "no connection",
    "rate_limited": "it takes no more requests now",
    "overloaded": "its server is overloaded",
    "refused": "it refuses the request",
    "timeout": "it answers too late",
    "lost": "the connection broke",
    "unreadable": "its reply cannot be read",
    "too_long": "the conversation is too long for it",
}


class ModelTrouble(Contract):
    """A failed attempt at a decision that the engine tries again; `gives_up_at` is seconds since the epoch.

    `account` is the provider's account that the call went over, if it has one.
    """

    step: Annotated[int, Field(ge=1, le=10**9, strict=True)]
    attempt: Annotated[int, Field(ge=1, le=10**9, strict=True)]
    kind: Kind
    gives_up_at: Annotated[int, Field(ge=0, le=253_402_300_799, strict=True)]
    account: Account | None = None

    @property
    def words(self) -> str:
        """The trouble in one line, as a run shows it until the decision is made."""
        until = datetime.fromtimestamp(self.gives_up_at, UTC)
        said = _SAID[self.kind]
        if self.account is not None and self.kind == "rate_limited":
            said = f"{said}, by the rate of account {self.account} (`backstay quota show`)"
        return (
            f"model unreachable: {said}; attempt {self.attempt} failed, "
            f"it is tried again until {until:%Y-%m-%d %H:%M:%S} UTC"
        )


def is_told(attempt: int) -> bool:
    """Tells whether a run hears of a failed attempt: the 2nd, 4th, 8th, ..., so that its history stays short."""
    return attempt > 1 and attempt & (attempt - 1) == 0
