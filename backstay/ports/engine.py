"""The ports to the engine: histories, starts, and the effects that calls share."""

from collections.abc import Callable, Sequence
from typing import Protocol

from backstay.contracts.admission import Opening
from backstay.contracts.call import ToolResult
from backstay.contracts.delegate import ChildEnd, ChildRef
from backstay.contracts.effect import CallRef, Claim, EffectInput
from backstay.contracts.history import Handed, Recorded, RunRef
from backstay.contracts.queue_hold import FoundFleets, QueueLimit
from backstay.contracts.recall import Recollection


class History(Protocol):
    """The histories of runs, as the engine keeps them."""

    async def opening(self, run: RunRef) -> Opening:
        """Reads who asked for what, and what was admitted.

        Raises:
            ForeignRunError: the workflow is no run of this worker's task queue.
        """
        ...

    async def since(self, run: RunRef, step: int) -> Recorded:
        """Reads everything from the decision of `step` on, that decision included; 0 reads all."""
        ...

    async def recalled(self, run: RunRef) -> Recollection:
        """Reads the conversation that a link of a chain began with, once all of its pieces are recorded."""
        ...

    async def handed(self, run: RunRef, call_id: str) -> Handed | None:
        """Reads the last time a call was handed to `act`; None where that run has no such call.

        Raises:
            HistoryGoneError: there is no such run.
        """
        ...

    async def effect_was_reset(self, effect: RunRef) -> bool:
        """Tells whether a shared effect continues another one that was reset.

        Raises:
            ForeignRunError: the workflow is no shared effect of this worker's task queue.
        """
        ...

    async def cut_short(self, effect: RunRef) -> ToolResult | None:
        """Finds out whether an earlier effect of the same id was ended from outside after it had begun to perform.

        Returns:
            Its result, of status `unknown` where it had none yet; None where nothing was begun, or its window is over.
        """
        ...

    async def relatives(self, run: RunRef) -> Sequence[RunRef]:
        """Lists the other runs of the same workflow, those included that a reset made this one continue."""
        ...


class Starts(Protocol):
    """The starts of runs, as the engine keeps them."""

    async def used_before(self, run: RunRef, proof: str) -> bool:
        """Tells whether another run of the same id was started with a proof; a reset is no other run.

        Raises:
            HistoryError: the engine does not say it for sure.
        """
        ...

    async def check_parent(self, run: RunRef) -> None:
        """Checks that a run was started by another one of this worker's task queue.

        Raises:
            ForeignRunError: it was not.
            HistoryError: the engine could not be asked.
        """
        ...

    async def end_of(self, parent: RunRef, child: ChildRef) -> ChildEnd | None:
        """Returns the end of a child run; None while it runs.

        Raises:
            ForeignRunError: it is no run that the parent has started.
            HistoryError: the engine could not be asked.
        """
        ...


class Claiming(Protocol):
    """A claim that waits for its effect."""

    async def result(self) -> ToolResult:
        """Waits for the effect's one result.

        Raises:
            EffectUnreachedError: it could not be asked; the effect may still be performed.
        """
        ...

    async def withdraw(self) -> ToolResult:
        """Withdraws the claim; returns once the effect continues without this call, or has ended.

        Raises:
            EffectUnreachedError: the effect could not be asked.
        """
        ...

    def drop(self) -> None:
        """Stops waiting and tells nobody, because another attempt at the call continues."""
        ...


class Effects(Protocol):
    """Effects that identical calls share."""

    def claim(
        self, effect_id: str, start: EffectInput, claim: Claim, earlier: str | None, told: Callable[[str], None]
    ) -> Claiming:
        """Claims an effect; the first claim starts it.

        Args:
            effect_id: names the effect; identical calls give the same.
            start: the effect's input, where this claim is the first.
            claim: the call that claims it.
            earlier: what `told` got in an earlier attempt at the same call, so that this one meets the same effect;
                empty where that attempt told nothing, None in the first attempt.
            told: gets what a later attempt must give as `earlier`.
        """
        ...

    async def is_over(self, call: CallRef) -> bool:
        """Tells whether the run that made a call has closed."""
        ...


class Attempts(Protocol):
    """The activities that runs wait for, as the engine knows them."""

    async def wanted(self, run: RunRef, activity_id: str) -> bool:
        """Tells whether a run is open and waits for an activity that it has not cancelled.

        Raises:
            HistoryError: the engine could not be asked.
        """
        ...


class TaskQueues(Protocol):
    """The task queues of the namespace, and the limits that the engine holds them to."""

    async def fleets(self) -> FoundFleets:
        """Finds the fleets, and the queues of calls alone that are known by their names.

        Raises:
            HistoryError: the engine could not be asked.
        """
        ...

    async def limit_of(self, queue: str) -> QueueLimit | str:
        """Returns the limit of a queue's activities, or why the engine refuses to tell it.

        Raises:
            HistoryError: the engine could not be asked.
        """
        ...

    async def limit(self, queue: str, limit: QueueLimit) -> str | None:
        """Sets the limit of a queue's activities; returns why the engine refuses it, None where it does not.

        Raises:
            HistoryError: the engine could not be asked.
        """
        ...
