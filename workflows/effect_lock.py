"""Who may perform an effect, who waits for it, and what each of them is told."""

from enum import StrEnum

from backstay.contracts.call import SharedEffect, ToolResult
from backstay.contracts.effect import CallRef, Claim, Claimed, EffectInput, HeldEffect

WAITING_ROOM = 5
"""How many claims wait inside; the engine holds 10 updates of a workflow at a time, and the rest must get through."""

GOES_ON = "unknown: the run was stopped, and the effect goes on for other runs that asked for it"
NOT_WAITED = "cancelled: the run was stopped while it waited for an identical effect of another run"


class LockState(StrEnum):
    """Where an effect stands: `free` is held under its first key, but the next claim performs once more."""

    PERFORMING = "performing"
    HELD = "held"
    FREE = "free"
    RELEASED = "released"


class EffectLock:
    """The lock and the store of one effect.

    INVARIANT: one performance at a time, and a second one only after the first is known not to have happened, or was
    cut short and can be repeated under the same key.
    """

    def __init__(self, given: EffectInput) -> None:
        held = given.held
        self._given = given
        self.state = LockState.PERFORMING if held is None else LockState.FREE if held.free else LockState.HELD
        self.performer = held.performer if held else Claim(call=given.call)
        self.performances = held.performances if held else 0
        self.claims = 0
        self._result = held.result if held else None
        self._before: LockState | None = None
        self._told: dict[Claim, ToolResult] = {}
        self._waiting: set[CallRef] = set()
        self._left: set[CallRef] = set()
        self._inside = 0

    @property
    def waiting(self) -> int:
        """How many calls wait for the effect."""
        return len(self._waiting - self._left)

    @property
    def abandoned(self) -> bool:
        """Whether everybody who waited has left."""
        return self.state is LockState.PERFORMING and bool(self._waiting) and not self.waiting

    def enter(self, claim: Claim) -> bool:
        """Takes a claim in, which performs where it may; False where there is no room to wait inside."""
        self.claims += 1
        if claim.call not in self._left:
            if self._may_perform(claim):
                self._before, self.state, self.performer = self.state, LockState.PERFORMING, claim
            if self.state is LockState.PERFORMING:
                self._waiting.add(claim.call)
        if self._inside >= WAITING_ROOM and not self.settled(claim):
            return False
        self._inside += 1
        return True

    def settled(self, claim: Claim) -> bool:
        """Whether a claim can be answered now."""
        left = claim.call in self._left and self.waiting > 0
        return left or claim in self._told or self.state is not LockState.PERFORMING

    def leave(self, call: CallRef) -> None:
        """Withdraws a call, for ever."""
        self._left.add(call)

    def ended(self, result: ToolResult, cut_short: bool) -> None:
        """Takes down how the performance ended, and what that means for the lock."""
        self._waiting.clear()
        if result.status in ("denied", "cancelled"):
            # Nothing was done. What was known before still holds: another run's refusal proves nothing about it.
            self._told[self.performer] = result
            self.state = self._before or LockState.RELEASED
            return
        self.performances += 1
        shared = SharedEffect(key=self._given.key, performances=self.performances)
        self._result = self._told[self.performer] = result.model_copy(update={"shared": shared})
        if result.status == "failed":
            self.state = LockState.RELEASED
        elif result.status == "unknown" and cut_short and self._given.effect == "write":
            self.state = LockState.FREE
        else:
            self.state = LockState.HELD

    def close(self) -> None:
        """Releases the lock; a claim that comes now is another effect's."""
        if self.state is LockState.FREE:
            self._result = None
        self.state = LockState.RELEASED

    def answer(self, claim: Claim) -> Claimed:
        """What a claim that was taken in is told."""
        self._inside -= 1
        own = claim.call == self.performer.call
        if claim in self._told:
            return Claimed(result=self._told[claim])
        if claim.call in self._left:
            return Claimed(result=self._left_behind(own))
        if self._result is not None and self.state in (LockState.HELD, LockState.RELEASED):
            return Claimed(result=self._result if own else self._result.model_copy(update={"usd": 0}))
        # What the performer was denied is no matter of others: they perform themselves, under their own verdict.
        return Claimed(wait=self.state is LockState.PERFORMING)

    def held(self, until_ms: int) -> HeldEffect | None:
        """What the next link of the chain is to know."""
        if self._result is None:
            return None
        return HeldEffect(
            performer=self.performer,
            performances=self.performances,
            result=self._result,
            free=self.state is LockState.FREE,
            until_ms=until_ms,
        )

    def _may_perform(self, claim: Claim) -> bool:
        if self.state is LockState.FREE:
            return True
        unknown = self._result is not None and self._result.status == "unknown"
        return self.state is LockState.HELD and unknown and claim.again == self.performances

    def _left_behind(self, own: bool) -> ToolResult:
        if own:
            return ToolResult(status="unknown", text=GOES_ON)
        return ToolResult(status="cancelled", text=NOT_WAITED, usd=0)
