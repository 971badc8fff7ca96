"""Defines the messages between workers, people and the workflow that keeps the rate of a provider's account."""

import re
from decimal import ROUND_FLOOR, Decimal
from typing import Annotated

from pydantic import AfterValidator, Field

from backstay.kernel.quota import PER_REQUEST, Quota

from .link import LinkInput
from .messages import Words
from .person import Person
from .problems import Contract

LONGEST_ACCOUNT = 64
MOST_PER_MINUTE = 10_000_000


def _account(name: str) -> str:
    """Refuses what is no name of an account, in words instead of a pattern."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or len(name) > LONGEST_ACCOUNT:
        raise ValueError(f"the name of an account has 1 to {LONGEST_ACCOUNT} letters, digits, `-` and `_`")
    return name


Account = Annotated[str, Field(strict=True), AfterValidator(_account)]
"""The name of a provider's account: letters, digits, `-` and `_`."""
Rate = Annotated[int, Field(ge=1, le=MOST_PER_MINUTE * PER_REQUEST, strict=True)]
"""Thousandths of a request per minute."""

_WHY = re.compile(r"([0-9]{1,8}(?:\.[0-9]{1,3})?) rpm\b")


def per_minute(rate: int) -> str:
    """Returns a rate as people write it, in requests per minute: `500`, `57.5`."""
    return f"{Decimal(rate) / PER_REQUEST:f}"


def read_per_minute(text: str, seconds: int = 60) -> int:
    """Reads a rate that people wrote, rounded down.

    Args:
        text: a decimal number of requests.
        seconds: in how many seconds.

    Raises:
        ValueError: it is no number, or no rate between a thousandth of a request and ten million per minute.
    """
    try:
        rate = int((Decimal(text) * PER_REQUEST * 60 / seconds).to_integral_value(ROUND_FLOOR))
    except (ArithmeticError, ValueError):
        raise ValueError(f"expected a number of requests, such as {'500' if seconds == 60 else '8.5'}") from None
    if not 1 <= rate <= MOST_PER_MINUTE * PER_REQUEST:
        raise ValueError(f"expected a rate above 0 and of at most {MOST_PER_MINUTE} requests per minute")
    return rate


class QuotaRef(Contract):
    """An account, by its name."""

    account: Account


class SetQuota(Contract):
    """Sets the rate of an account, or takes the limit away where it is None; `by` is a claim."""

    rate: Rate | None
    by: Person
    reason: Words = ""

    @property
    def words(self) -> str:
        """The person and the reason, in one line."""
        return f"{self.by}: {self.reason}" if self.reason else self.by


class Throttled(Contract):
    """A worker was refused by a provider because of its rate; `wait_ms` is for how long it wants no calls."""

    wait_ms: Annotated[int, Field(ge=0, le=3_600_000, strict=True)] = 0


class QuotaInput(LinkInput):
    """The input of `ProviderQuota`: the account; the rest comes from an earlier link of the same workflow alone."""

    handed_on = ("quota", "setting")

    account: Account
    quota: Quota | None = None
    setting: SetQuota | None = None


class QuotaView(Contract):
    """The rate of an account as people read it.

    Attributes:
        account: the account's name.
        quota: the rates, and the refusals since the rate was set.
        setting: who set the rate; None where the workflow found it on the server.
        until_ms: when the configured rate is in force again if nothing more is refused; None where it is.
    """

    account: Account
    quota: Quota
    setting: SetQuota | None
    until_ms: int | None


class PaceInput(Contract):
    """The input of `pace`: the rate to put in force for an account, None for no limit, and why, for people."""

    account: Account
    rate: Rate | None
    why: str


class PacedRate(Contract):
    """The rate that the server has in force for an account, None where it has no limit, and why."""

    rate: int | None = None
    why: str = ""

    @property
    def configured(self) -> int | None:
        """The rate that was configured, as `why` tells it where it is ours; else the rate in force."""
        told = _WHY.match(self.why)
        if self.rate is None or told is None:
            return self.rate
        return max(self.rate, int(Decimal(told[1]) * PER_REQUEST))


def why(quota: Quota, setting: SetQuota | None) -> str:
    """Returns the reason of a rate as the server keeps it: what is configured, by whom, and why less is in force."""
    by = f"set by {setting.words}" if setting else "found on the server"
    if quota.configured is None:
        return f"no limit, {by}"[:500]
    configured = f"{per_minute(quota.configured)} rpm, {by}"
    if not quota.lowered:
        return configured[:500]
    return f"{configured[:300]}; {lowered_words(quota)}"


def lowered_words(quota: Quota) -> str:
    """Returns why a rate is below the configured one, in a few words."""
    refused = f" at {per_minute(quota.refused)} rpm" if quota.refused is not None else ""
    return f"lowered, because the provider refused calls with HTTP 429{refused}"
