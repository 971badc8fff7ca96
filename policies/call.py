"""What policy is asked about one call, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from backstay.kernel.verdict import Code, Outcome

Effect = Literal["read", "write", "once"]


@dataclass(frozen=True, slots=True)
class ToolRules:
    """A tool as rules see it.

    Attributes:
        name: the name of its Cedar action, any text that starts with neither `effect:` nor `group:`.
        groups: the action groups it declares, without the prefix `group:`.
        parameters: the JSON Schema of its arguments.
        facts: the Cedar type of each fact it computes, one of `FACT_TYPES` in `policies.cedar.schema`.
    """

    name: str
    effect: Effect = "once"
    groups: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    facts: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What rules may know of the run; `spent_usd` is in micro-dollars, `tool_calls_60s` counts this tool only."""

    step: int = 0
    spent_usd: int = 0
    tool_calls: int = 0
    tool_calls_60s: int = 0
    taint: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class GateRequest:
    """One call to be judged.

    Attributes:
        arguments: JSON values that were validated against the tool's schema.
        facts: what the tool's fact functions returned for these arguments.
        incident: whether an incident stop is in force.
        now: seconds since the epoch.
        approvals: what people granted for exactly this call: "finance", or "finance:2" once two said yes.
    """

    run_id: str
    agent: str
    tenant: str
    step: int
    tool: ToolRules
    arguments: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    run: RunFacts = field(default_factory=RunFacts)
    incident: bool = False
    now: int = 0
    approvals: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Ruling:
    """What policy says of a call.

    Attributes:
        rules: the ids of the deciding rules, sorted.
        message: what the model may read; it never repeats a rule's condition.
        groups: the approvals that would let the call through, sorted; empty unless approval is required.
        policy_version: digest of the rules that decided.
        observed: what all rules would have decided, where the agent's own are observed only.
    """

    outcome: Outcome
    code: Code
    rules: tuple[str, ...] = ()
    message: str = ""
    groups: tuple[str, ...] = ()
    policy_version: str = ""
    observed: "Ruling | None" = None
