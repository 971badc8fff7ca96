"""A decision that stands still between two links of a run's chain: where each of its calls goes on."""

from typing import Annotated, Literal

from pydantic import Field

from backstay.kernel.budget import Limits
from backstay.kernel.events import BudgetShort
from backstay.kernel.meter import Excess
from backstay.kernel.verdict import Verdict

from .asked import Asked, Replies, Reply
from .call import SharedEffect
from .decision import Observation, ProposedCall
from .metering import Metered
from .policy import Consent
from .problems import Contract

Count = Annotated[int, Field(ge=0, strict=True)]


class CarriedHold(Contract):
    """Carries what is held for a call that waits, as `CallHold` has it.

    Attributes:
        usd: micro-dollars.
        placed: whether the run's own budget holds it.
        counted: whether ledgers hold it.
        exposure: what it adds to each meter.
        agreed: the sum of each meter that people agreed to.
        asks: the limits that people have to let it above.
        short: what is short for it, while people may still be asked for more.
        limits: those of its child run, while they are held.
        share: what was carved for the child among its siblings.
        carved: whether that was used.
    """

    usd: Count = 0
    placed: bool = False
    counted: bool = False
    exposure: dict[str, int] = Field(default_factory=dict[str, int])
    agreed: dict[str, int] = Field(default_factory=dict[str, int])
    asks: Excess | None = None
    short: BudgetShort | None = None
    limits: Limits | None = None
    share: Limits | None = None
    carved: bool = False


class CarriedEnd(Contract):
    """The end of a call while its siblings wait; `text` is None where a history has it as the result of an activity."""

    status: str
    text: str | None = None
    digest: str = ""
    labels: list[str] = Field(default_factory=list[str])
    fingerprint: str | None = None


class CarriedTry(Contract):
    """An execution of a call that people are asked about: what became of it, or what the server of its tool asks.

    Attributes:
        text: what is known of its end.
        usd: what the call reported as its cost.
        shared: the effect behind it, where identical calls share one.
        borrowed: whether another call performed that effect.
        key: the key of the shared effect that it is tried with.
        again: how many executions before are known not to have happened.
        asked: what the server asks; None where people are asked what became of it.
        given: what people have replied to that so far.
        replies: their replies to what it asked before.
        rounds: how often it has asked.
    """

    text: str = ""
    usd: int | None = None
    shared: SharedEffect | None = None
    borrowed: bool = False
    key: str | None = None
    again: Count = 0
    asked: Asked | None = None
    given: dict[str, Reply] = Field(default_factory=dict[str, Reply])
    replies: Replies | None = None
    rounds: Count = 0


class CarriedAsking(Contract):
    """A decision that stands still before its calls are judged.

    Attributes:
        short: what is short for it, while people are asked for more.
        held: whether it is held already, and no worker serves it.
        proposed: the calls that came of it, while the run is paused.
    """

    short: BudgetShort | None = None
    held: bool = False
    proposed: list[ProposedCall] = Field(default_factory=list[ProposedCall])


class CarriedCall(Contract):
    """A call of the decision in progress, in the order asked: ended, or standing still.

    Attributes:
        call: the call as the model proposed it.
        changed: the call with a person's arguments, where it was edited.
        stage: what it waits for: `room` in the budget, a yes after it was `asked`, or to begin, once it is `released`.
        verdict: the last over it.
        members: the people of the groups that may have to approve it.
        identity: equal for calls that the tool cannot tell apart.
        metered: what ledgers hold of it, or told of it where they hold nothing.
        revision: how often ledgers were asked to hold it.
        hold: what is held for it; None once it has ended.
        approval_id: the approval that its yes is asked for by.
        consent: the people who said yes so far, and those who changed its arguments: their yes never counts.
        edited: whether its arguments are a person's.
        begun: its execution, where people are asked about that.
        end: how it ended; None while it waits.
        grant: the standing grant that let it through, in words.
    """

    call: ProposedCall
    verdict: Verdict
    changed: ProposedCall | None = None
    stage: Literal["room", "asked", "released"] = "released"
    members: dict[str, list[str]] = Field(default_factory=dict[str, list[str]])
    identity: str = ""
    metered: Metered | None = None
    revision: Count = 0
    hold: CarriedHold | None = None
    approval_id: str | None = None
    consent: Consent = Consent()
    edited: bool = False
    begun: CarriedTry | None = None
    end: CarriedEnd | None = None
    grant: str | None = None

    @property
    def as_told(self) -> Observation | None:
        """The result that a history has of the call; None where it has none."""
        if self.end is None or self.end.text is not None:
            return None
        return Observation(call_id=self.call.call_id, digest=self.end.digest)
