"""One tool call on its way: judged, executed, observed."""

from typing import Literal

from pydantic import Field

from backstay.kernel.verdict import Verdict

from .decision import ProposedCall
from .problems import Contract

RESULT_BYTES = 32_000
"""What the model reads of one tool result at most, in bytes of UTF-8."""


class AuthorizeInput(Contract):
    """The calls of one decision, to be judged together before anything is done."""

    run_id: str
    run_key: str
    agent: str
    tenant: str
    step: int
    calls: list[ProposedCall]
    tools: dict[str, str] = Field(description="digest of each admitted tool's schema, by name")


class AuthorizeResult(Contract):
    """One verdict per call, in the order asked."""

    verdicts: list[Verdict]


class ActInput(Contract):
    """The input of `act`: which call, not what it says; its arguments stand in the decision that proposed it.

    `run_key` is the run's own part of the idempotency key; `decision` is the short digest of the decision that proposed
    the call, `digest` that of the exact call that was judged.
    """

    run_key: str
    step: int
    decision: str
    call_id: str
    tool: str
    digest: str


class ToolResult(Contract):
    """How a call ended and what the model reads of it.

    `denied` is the verdict at the boundary, just before the side effect. `cut` says that the result was longer.
    """

    status: Literal["completed", "failed", "denied", "cancelled", "unknown"]
    text: str
    cut: bool = False
    verdict: Verdict | None = None
