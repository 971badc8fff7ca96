"""The messages of a shared effect: its start, a claim, the answer to a claim."""

from typing import Annotated, Literal

from pydantic import Field

from .call import ToolResult
from .link import LinkInput
from .problems import Contract

LONGEST_SECONDS = 366 * 86_400.0
"""The longest window of an effect, and the longest attempt."""

Id = Annotated[str, Field(min_length=1, max_length=1_000, strict=True)]
Seconds = Annotated[float, Field(gt=0, le=LONGEST_SECONDS)]
Count = Annotated[int, Field(ge=0, strict=True)]


class CallRef(Contract):
    """The place of one call in the engine; `task_queue` serves the run's agent."""

    workflow_id: Id
    run_id: Id
    call_id: Id
    task_queue: Id


class Claim(Contract):
    """A call that wants the effect.

    `again` is how many performances it knows not to have happened: 0 is a call that knows nothing yet.
    """

    call: CallRef
    again: Count = 0


class HeldEffect(Contract):
    """The state that a link of an effect's chain hands to the next: the last result, its performer, its end.

    `free`: the performance was cut short, and the next claim performs once more under the same key.
    """

    performer: Claim
    performances: Count
    result: ToolResult
    free: bool
    until_ms: Count


class EffectInput(LinkInput):
    """The input of `Effect`: names the first call; its arguments stand in its run's history.

    `key` is the first call's idempotency key, `timeout` seconds of one attempt, `window` seconds the effect is held.
    """

    handed_on = ("held",)

    call: CallRef
    key: Id
    tenant: Id
    tool: Id
    effect: Literal["write", "once"]
    timeout: Seconds
    window: Seconds
    held: HeldEffect | None = None


class PerformInput(Contract):
    """The input of `perform`: the call, its idempotency key, and how many performances came before.

    `begun` is how many attempts earlier activities had begun at this performance, before a stop held them.
    """

    call: CallRef
    key: Id
    again: Count
    begun: Count = 0


class Claimed(Contract):
    """The answer to a claim: a result; or none, and then claim again, with `wait` once nobody performs."""

    result: ToolResult | None = None
    wait: bool = False
