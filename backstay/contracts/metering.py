"""Defines the messages between a run and the activity that has its calls counted over many runs."""

from pydantic import Field

from backstay.kernel.ledger_period import Period
from backstay.kernel.ledger_sums import Crossing, Excess

from .ledger import Reserved
from .policy import AuthorizeInput, SumsBefore
from .problems import Contract


class MeterInput(Contract):
    """The input of `meter`: calls of a decision, as `authorize` is asked about them.

    Attributes:
        question: that of `authorize`.
        revisions: how often each call was held before, by its id.
        agreed: the sums up to which people let a call above limits that have a group, by call, meter and period.
        happened: the names of earlier holds of the run, of calls that have happened since ledgers were last asked.
    """

    question: AuthorizeInput
    revisions: dict[str, int] = Field(default_factory=dict[str, int])
    agreed: dict[str, SumsBefore] = Field(default_factory=dict[str, SumsBefore])
    happened: list[str] = Field(default_factory=list[str])


class Metered(Contract):
    """A call that ledgers were asked to count.

    Attributes:
        name: that of its hold.
        exposure: what it adds to the meters that ledgers count.
        held: the hold in each ledger; none where a limit has no room.
        excess: the limit that has no room for the call.
        sums: the sums of the tenant with the call, by meter and period; what they would be, where it is not held.
        limits: the lowest limit of each of these sums.
    """

    name: str
    exposure: dict[str, int] = Field(default_factory=dict[str, int])
    held: list[Reserved] = Field(default_factory=list[Reserved])
    excess: Excess | None = None
    sums: SumsBefore = Field(default_factory=dict[str, dict[Period, int]])
    limits: SumsBefore = Field(default_factory=dict[str, dict[Period, int]])


class MeterResult(Contract):
    """The calls that were counted, by id, and the shares of limits that they reached as the first.

    A call that does not fit its tool, or adds to no meter that ledgers count, is left out.
    """

    calls: dict[str, Metered] = Field(default_factory=dict[str, Metered])
    warnings: list[Crossing] = Field(default_factory=list[Crossing])
