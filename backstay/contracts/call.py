"""One tool call on its way: judged, executed, observed."""

from typing import Annotated, Literal

from pydantic import Field

from backstay.kernel.keys import call_key
from backstay.kernel.ledger_period import Period
from backstay.kernel.origins import Origins
from backstay.kernel.verdict import Verdict

from .asked import Asked, Replies
from .policy import Consent, RunFacts, SumsBefore
from .problems import Contract

RESULT_BYTES = 32_000
"""The most the model reads of one tool result, in bytes of UTF-8."""


def shortened(text: str, limit: int) -> tuple[str, bool]:
    """Returns a text cut to `limit` bytes of UTF-8, with a note where it was cut, and whether it was."""
    clean = text.encode("utf-8", "replace")
    if len(clean) <= limit:
        return clean.decode(), False
    shown = clean[:limit].decode("utf-8", "ignore")
    return f"{shown}\n[cut here: {len(clean)} bytes in all, the first {limit} are shown]", True


class ActInput(Contract):
    """The input of `act`: names a call; its arguments stand in the decision that proposed it.

    `run_key` is the run's own part of the idempotency key, and `content` the call's: a short digest of tool and
    arguments, whatever the tool's schema. `decision` is the short digest of the decision that proposed the call,
    `digest` that of the exact call that was judged. `arguments` stand here only where a person changed them.
    `again` is how many executions of the effect are known not to have happened, where it is asked for once more, and
    `key` the key of a shared effect. `any_tool` is that of `AuthorizeInput`. `exposure` is what is held of each meter,
    and `counted` the sums over many runs before the call. `begun` is how many attempts earlier activities had begun at
    this execution, before a stop held them. `origins` says where its values come from, as it was judged.
    `replies` are those of people to what the tool's server has asked in this call.
    """

    run_key: str
    step: int
    decision: str
    call_id: str
    tool: str
    digest: str
    content: str
    facts: RunFacts
    now: int
    consent: Consent = Consent()
    arguments: str | None = None
    key: str | None = None
    again: int = 0
    any_tool: bool = False
    exposure: dict[str, int] = Field(default_factory=dict[str, int])
    counted: SumsBefore = Field(default_factory=dict[str, dict[Period, int]])
    begun: Annotated[int, Field(ge=0)] = 0
    origins: Origins | None = None
    replies: Replies | None = None

    @property
    def own_key(self) -> str:
        """The idempotency key of the call, where it shares no effect with others."""
        return call_key(self.run_key, self.call_id, self.content)


class SharedEffect(Contract):
    """The effect behind a result that identical calls share: its idempotency key, and how often it was performed."""

    key: str
    performances: int


class ServerChange(Contract):
    """The name and version that an MCP server gave itself when its tools were pinned, and those that it gives now."""

    was: str
    now: str


class ToolResult(Contract):
    """The end of a call, and the text the model reads.

    `verdict` is that of the boundary, just before the side effect, where it was no. `cut` says that the result was
    longer; `usd` is what the call reported as its cost, in micro-dollars. `shared` stands in the results of a tool with
    `dedupe`: they are then those of one effect, whichever call performed it; `borrowed` where that was another call.
    `unclear`: the call failed in a way that leaves open whether its effect happened. `alarm` is the reason of an alarm
    that the tool raised meanwhile. `asked` where the call ended with questions to people, and goes on
    with their replies. `server` where the MCP server gives itself another name or version than when it was pinned.
    """

    status: Literal["completed", "failed", "denied", "cancelled", "unknown"]
    text: str
    cut: bool = False
    verdict: Verdict | None = None
    usd: int | None = None
    shared: SharedEffect | None = None
    borrowed: bool = False
    unclear: bool = False
    alarm: str | None = None
    asked: Asked | None = None
    server: ServerChange | None = None


class Reconciled(Contract):
    """The truth about a call with an unknown outcome; `text` is its result, where it happened.

    `alarm` is the reason of an alarm that the tool raised when it was asked.
    """

    answer: Literal["happened", "not_happened", "unknown"]
    text: str = ""
    alarm: str | None = None
