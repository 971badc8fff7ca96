"""The port of shared effects in memory."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from backstay.contracts.call import ToolResult
from backstay.contracts.effect import CallRef, Claim, EffectInput


@dataclass
class FakeClaiming:
    """A claim that gets a result, an error, or (None) nothing until it is given up."""

    outcome: ToolResult | Exception | None
    left: ToolResult
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    withdrawn: bool = False
    dropped: bool = False

    async def result(self) -> ToolResult:
        self.waiting.set()
        if self.outcome is None:
            await asyncio.Event().wait()
        if isinstance(self.outcome, ToolResult):
            return self.outcome
        raise self.outcome or AssertionError("woken without an outcome")

    async def withdraw(self) -> ToolResult:
        self.withdrawn = True
        return self.left

    def drop(self) -> None:
        self.dropped = True


@dataclass(frozen=True)
class Claimed:
    """One claim as the effects were given it."""

    effect_id: str
    start: EffectInput
    claim: Claim
    earlier: str | None


@dataclass
class FakeEffects:
    """Effects that answer every claim by one claiming; `tells` is what a later attempt is to be told."""

    claiming: FakeClaiming = field(
        default_factory=lambda: FakeClaiming(
            ToolResult(status="completed", text="paid once"), ToolResult(status="cancelled", text="withdrawn")
        )
    )
    claims: list[Claimed] = field(default_factory=list[Claimed])
    tells: str | None = None
    over: bool = False
    asked_after: list[CallRef] = field(default_factory=list[CallRef])

    def claim(
        self, effect_id: str, start: EffectInput, claim: Claim, earlier: str | None, told: Callable[[str], None]
    ) -> FakeClaiming:
        self.claims.append(Claimed(effect_id, start, claim, earlier))
        if self.tells is not None:
            told(self.tells)
        return self.claiming

    async def is_over(self, call: CallRef) -> bool:
        self.asked_after.append(call)
        return self.over
