"""May this call run? The call as policy sees it, and the input and result of `authorize`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pydantic import Field

from backstay.kernel.verdict import Verdict

from .admission import ToolSpec
from .decision import ProposedCall
from .problems import Contract


class Unheld(Enum):
    """Marks an argument whose JSON differs from what the tool will get: no rule may rely on it."""

    UNHELD = "unheld"


UNHELD = Unheld.UNHELD


class RunFacts(Contract):
    """The facts of a run that rules may read: money in micro-dollars, calls of each tool in the last 60 seconds."""

    step: int
    spent_usd: int
    tool_calls: int
    tool_calls_60s: dict[str, int] = Field(default_factory=dict[str, int])
    taint: list[str] = Field(default_factory=list[str])


class Consent(Contract):
    """The people who said yes to a call, and those who changed it: an editor's yes never counts."""

    approved_by: list[str] = Field(default_factory=list[str])
    editors: list[str] = Field(default_factory=list[str])


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


class AuthorizeInput(Contract):
    """The calls of one decision, to be judged together before anything is done."""

    run_id: str
    run_key: str
    agent: str
    tenant: str
    requested_by: str | None
    goal: str
    facts: RunFacts
    now: int
    calls: list[ProposedCall]
    consents: dict[str, Consent] = Field(default_factory=dict[str, Consent])
    tools: dict[str, str] = Field(description="digest of each admitted tool's schema, by name")


class AuthorizeResult(Contract):
    """One verdict per call, in the order asked, and the members of the groups that the verdicts name."""

    verdicts: list[Verdict]
    members: dict[str, list[str]] = Field(default_factory=dict[str, list[str]])
