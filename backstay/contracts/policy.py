"""What policy is asked, and what it answers: the words between the gate and those who ask it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from backstay.kernel.verdict import Code, Outcome

from .admission import ToolSpec
from .call import Consent, RunFacts


class Unheld(Enum):
    """Stands for an argument that JSON does not bring back as the tool will get it: no rule may trust in it."""

    UNHELD = "unheld"


UNHELD = Unheld.UNHELD


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
