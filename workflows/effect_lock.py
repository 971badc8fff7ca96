"""Decides who may perform an effect, who waits for its result, and the answer to each."""

from enum import StrEnum

from backstay.contracts.call import SharedEffect, ToolResult
from backstay.contracts.effect import CallRef, Claim, Claimed, EffectInput, HeldEffect

WAITING_ROOM = 5
"""The most claims that may wait at once: Temporal holds 10 open updates per workflow, and later ones need room."""

GOES_ON = "unknown: the run was stopped, and the effect goes on for other runs that asked for it"
NOT_WAITED = "cancelled: the run was stopped while it waited for an identical effect of another run"


class LockState(StrEnum):
    """The state of an effect.

    Attributes:
        PERFORMING: one claim performs it now.
        HELD: it was performed, and identical calls get its result.
        FREE: its outcome is unknown, and the next claim performs it again under the same key.
        RELEASED: it is over, and the next claim is a new effect's.
    """

    PERFORMING = "performing"
    HELD = "held"
    FREE = "free"
    RELEASED = "released"


class EffectLock:
    """The lock and the stored result of one effect.

    INVARIANT: performances never overlap, and a second one starts only where the first has certainly not happened, or
    was cut short or lost its answer, and may be repeated under the same key.
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
        self._results: dict[Claim, ToolResult] = {}
        self._waiting: set[CallRef] = set()
        self._withdrawn: set[CallRef] = set()
        self._open_claims = 0

    @property
    def waiting(self) -> int:
        """The number of calls that wait for the effect."""
        return len(self._waiting - self._withdrawn)

    @property
    def abandoned(self) -> bool:
        """Tells whether every call that waited for the performance has withdrawn."""
        return self.state is LockState.PERFORMING and bool(self._waiting) and not self.waiting

    def enter(self, claim: Claim) -> bool:
        """Accepts a claim, and starts a performance if the claim may.

        Returns:
            False where too many claims wait already, so that the caller must claim again later.
        """
        self.claims += 1
        if claim.call not in self._withdrawn:
            if self._may_perform(claim):
                self._before, self.state, self.performer = self.state, LockState.PERFORMING, claim
            if self.state is LockState.PERFORMING:
                self._waiting.add(claim.call)
        if self._open_claims >= WAITING_ROOM and not self.settled(claim):
            return False
        self._open_claims += 1
        return True

    def settled(self, claim: Claim) -> bool:
        """Tells whether a claim can be answered now."""
        withdrawn = claim.call in self._withdrawn and self.waiting > 0
        return withdrawn or claim in self._results or self.state is not LockState.PERFORMING

    def leave(self, call: CallRef) -> None:
        """Withdraws a call for good."""
        self._withdrawn.add(call)

    def ended(self, result: ToolResult, cut_short: bool, unclear: bool = False) -> None:
        """Records the result of the performance and moves the lock to its next state.

        Args:
            result: the result of the performance.
            cut_short: we cancelled the performance, because every waiting call had withdrawn.
            unclear: it failed with an error that leaves open whether its effect happened, and may be repeated.
        """
        self._waiting.clear()
        if result.status in ("denied", "cancelled"):
            # Nothing was done, so the state before this performance still holds, with its result.
            self._results[self.performer] = result
            self.state = self._before or LockState.RELEASED
            return
        self.performances += 1
        shared = SharedEffect(key=self._given.key, performances=self.performances)
        self._result = self._results[self.performer] = result.model_copy(update={"shared": shared})
        if unclear:
            self.state = LockState.FREE
        elif result.status == "failed":
            self.state = LockState.RELEASED
        elif result.status == "unknown" and cut_short and self._given.effect == "write":
            self.state = LockState.FREE
        else:
            self.state = LockState.HELD

    def close(self) -> None:
        """Releases the lock; a later claim starts a new effect."""
        if self.state is LockState.FREE:
            self._result = None
        self.state = LockState.RELEASED

    def answer(self, claim: Claim) -> Claimed:
        """Returns the answer to an accepted claim."""
        self._open_claims -= 1
        own = claim.call == self.performer.call
        if claim in self._results:
            return Claimed(result=self._results[claim])
        if claim.call in self._withdrawn:
            return Claimed(result=self._result_of_withdrawn(own))
        if self._result is not None and self.state in (LockState.HELD, LockState.RELEASED):
            return Claimed(result=self._result if own else self._result.model_copy(update={"usd": 0, "borrowed": True}))
        # A denial concerns the performer alone: the others claim again, and perform under their own verdicts.
        return Claimed(wait=self.state is LockState.PERFORMING)

    def held(self, until_ms: int) -> HeldEffect | None:
        """Returns the state for the next link of the chain, or None before the first performance.

        Args:
            until_ms: the end of the window, in milliseconds since 1970.
        """
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

    def _result_of_withdrawn(self, own: bool) -> ToolResult:
        if own:
            return ToolResult(status="unknown", text=GOES_ON)
        return ToolResult(status="cancelled", text=NOT_WAITED, usd=0)
