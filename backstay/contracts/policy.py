"""May this call run? The call as policy sees it, and the input and result of `authorize`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pydantic import Field

from backstay.kernel.keys import act_id
from backstay.kernel.ledger_period import Period
from backstay.kernel.ledger_sums import Counts
from backstay.kernel.meter import Bound
from backstay.kernel.origins import Origins
from backstay.kernel.run_state import RunState
from backstay.kernel.standing import Use

from .admission import ToolSpec
from .decision import Beforehand, ProposedCall, Verdicts
from .delegate import Above
from .problems import Contract


class Unheld(Enum):
    """Marks an argument whose JSON differs from what the tool will get: no rule may rely on it."""

    UNHELD = "unheld"


UNHELD = Unheld.UNHELD


SumsBefore = dict[str, dict[Period, int]]
"""The sums of meters over many runs before a call, by meter and period, in ten-thousandths."""


class RunFacts(Contract):
    """The facts of a run that rules may read: money in micro-dollars, calls of each tool in the last 60 seconds.

    `exposure` is the sum of each meter before the call, in ten-thousandths.
    """

    step: int
    spent_usd: int
    tool_calls: int
    tool_calls_60s: dict[str, int] = Field(default_factory=dict[str, int])
    taint: list[str] = Field(default_factory=list[str])
    exposure: dict[str, int] = Field(default_factory=dict[str, int])

    @classmethod
    def of(
        cls, state: RunState, calls: Sequence[ProposedCall], at_ms: int, exposed: Mapping[str, int] | None = None
    ) -> "RunFacts":
        """Returns the facts of a run; a call counts neither itself nor what was asked for after it.

        Args:
            state: the state of the run.
            calls: the calls that are judged.
            at_ms: when they are, in milliseconds since the epoch.
            exposed: the sum of each meter without them; default: all but what is held for them.
        """
        budget = state.budget
        sums = budget.exposed([act_id(call.call_id) for call in calls]) if exposed is None else exposed
        return cls(
            step=state.step,
            spent_usd=budget.spent.usd,
            tool_calls=budget.spent.tool_calls,
            tool_calls_60s={
                call.tool: budget.calls_in_window(call.tool, at_ms, before=act_id(call.call_id)) for call in calls
            },
            taint=sorted(state.taint),
            exposure=dict(sums),
        )

    @classmethod
    def after(cls, before: Beforehand, step: int, spent_usd: int, calls: Sequence[ProposedCall]) -> "RunFacts":
        """Returns the facts of a run once a decision is made, from those before it.

        Args:
            before: the facts before.
            step: the step of the decision.
            spent_usd: the spend with the decision.
            calls: its calls, of which none is held yet.
        """
        return cls(
            step=step,
            spent_usd=spent_usd,
            tool_calls=before.tool_calls,
            tool_calls_60s={call.tool: before.recent.get(call.tool, 0) for call in calls},
            taint=before.taint,
            exposure=before.exposure,
        )


class Consent(Contract):
    """The people who said yes to a call, and those who changed it: an editor's yes never counts.

    `use` is that of a standing grant, where one stands for the yes.
    """

    approved_by: list[str] = Field(default_factory=list[str])
    editors: list[str] = Field(default_factory=list[str])
    use: Use | None = None


@dataclass(frozen=True, slots=True)
class PolicyCall:
    """A call that fits its tool, as policy sees it.

    Attributes:
        arguments: as the tool will get them, in JSON, defaults included; `UNHELD` where JSON cannot carry one.
        facts: what the tool's fact functions say about the arguments, by name.
        now: seconds since the epoch.
        digest: names the exact call that is judged; the verdict repeats it.
        incident: whether an incident stop is in force; the gate sets it.
        approvals: what people granted to exactly this call, such as `finance:2`; the gate sets it by `consent`.
        version: of the agent that the run was admitted with; empty for the one that is served now.
        exposure: the sum of each meter within the run, this call included, in ten-thousandths.
        counted: the same over all runs of the tenant, by meter and period, where that is counted.
        origins: where its values come from; None where no rule reads that.
    """

    agent: str
    tenant: str
    tool: ToolSpec
    arguments: Mapping[str, Any]
    facts: Mapping[str, Any]
    run: RunFacts
    now: int
    digest: str
    requested_by: str | None = None
    consent: Consent = field(default_factory=Consent)
    incident: bool = False
    approvals: frozenset[str] = frozenset()
    version: str = ""
    exposure: Mapping[str, int] = field(default_factory=dict[str, int])
    counted: Counts = field(default_factory=dict[str, Mapping[Period, int]])
    origins: Origins | None = None


class AuthorizeInput(Contract):
    """The calls of one decision, to be judged together before anything is done.

    A call counts in the meters of those after it, unless rules or the `bounds` of a meter refuse it. `any_tool` lets a
    worker judge calls of tools that it has not as they were admitted: it refuses them. `counted` has the sums of meters
    over many runs before each call, as ledgers told them, by call, meter and period; those of a call that ledgers hold
    include the calls before it, and `uncounted` lists the calls that they do not hold. `decision` is the short digest
    of the decision that proposed the calls, and `origins` says where the values of those come from that were judged
    before. `above` are the agents of runs above, whose rules hold too. `brief` says that the goal is left out, and
    `proposed` names the calls of which the arguments are: the history holds them once.
    """

    run_id: str
    run_key: str
    agent: str
    tenant: str
    requested_by: str | None
    goal: str
    facts: RunFacts
    now: int
    calls: list[ProposedCall]
    brief: bool = False
    proposed: list[str] = Field(default_factory=list[str])
    consents: dict[str, Consent] = Field(default_factory=dict[str, Consent])
    tools: dict[str, str] = Field(description="digest of each admitted tool's schema, by name")
    any_tool: bool = False
    version: str = Field(default="", description="of the agent, as the run was admitted with it")
    bounds: dict[str, list[Bound]] = Field(default_factory=dict[str, list[Bound]])
    counted: dict[str, SumsBefore] = Field(default_factory=dict[str, SumsBefore])
    uncounted: list[str] = Field(default_factory=list[str])
    decision: str = ""
    origins: dict[str, Origins] = Field(default_factory=dict[str, Origins])
    above: list[Above] = Field(default_factory=list[Above])

    def in_brief(self, edited: Collection[str] = ()) -> "AuthorizeInput":
        """Returns the same without what the history holds already: the goal, and arguments as they were proposed.

        Args:
            edited: the ids of calls that people have changed.
        """
        edited = {*edited, *(call_id for call_id, consent in self.consents.items() if consent.editors)}
        proposed = [call.call_id for call in self.calls if call.call_id not in edited]
        calls = [call if call.call_id in edited else call.without_arguments() for call in self.calls]
        return self.model_copy(update={"goal": "", "calls": calls, "brief": True, "proposed": proposed})


class AuthorizeResult(Verdicts):
    """The result of `authorize`."""
