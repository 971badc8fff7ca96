"""What policy is asked, and what it answers: the words between the gate and those who ask it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import Field

from backstay.kernel.verdict import Code, Outcome, Verdict

from .admission import ToolSpec
from .decision import ProposedCall
from .problems import Contract


class Unheld(Enum):
    """Stands for an argument that JSON does not bring back as the tool will get it: no rule may trust in it."""

    UNHELD = "unheld"


UNHELD = Unheld.UNHELD


class RunFacts(Contract):
    """What rules may know of the run: money in micro-dollars, calls of each tool in the last 60 seconds."""

    step: int
    spent_usd: int
    tool_calls: int
    tool_calls_60s: dict[str, int] = Field(default_factory=dict[str, int])
    taint: list[str] = Field(default_factory=list[str])


class Consent(Contract):
    """Who said yes to a call, and who changed it: an editor's yes never counts."""

    approved_by: list[str] = Field(default_factory=list[str])
    editors: list[str] = Field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class GateCall:
    """A call as policy sees it: who wants what, with arguments as the tool will get them, in JSON.

    `facts` is what the tool's functions say of the arguments; `now` is seconds since the epoch.
    """

    run_id: str
    agent: str
    tenant: str
    step: int
    tool: ToolSpec
    arguments: Mapping[str, Any]
    facts: Mapping[str, Any]
    requested_by: str | None
    run: RunFacts
    now: int
    consent: Consent


@dataclass(frozen=True, slots=True)
class Ruling:
    """What policy says of a call; `message` is for the model.

    `groups` are the approvals that would release it, `observed` what rules that are only observed would have decided.
    """

    outcome: Outcome
    code: Code
    rules: tuple[str, ...] = ()
    message: str = ""
    groups: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    observed: str = ""
    policy_version: str = ""


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
    """One verdict per call, in the order asked, and who is in the groups that a verdict asks for."""

    verdicts: list[Verdict]
    members: dict[str, list[str]] = Field(default_factory=dict[str, list[str]])
