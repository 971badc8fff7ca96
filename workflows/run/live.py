"""A run in progress: its state, its running activities, and what the model has not been told yet."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, CancelledError

from backstay.contracts.admission import Admission
from backstay.contracts.approval import PendingApproval
from backstay.contracts.call import shortened
from backstay.contracts.decision import Observation
from backstay.contracts.problems import Contract
from backstay.contracts.run import RunRequest, RunResult
from backstay.contracts.status import RunStatusView, TranscriptItem
from backstay.kernel.events import Event
from backstay.kernel.run_state import RunState
from backstay.kernel.stop import Stop
from backstay.kernel.stopping import interruption, next_stop

from .publish import Noticeboard
from .record import Ledger
from .report import result_of, status_of

ITEM_OVERHEAD = 64
"""Tokens that a message, a call or a tool may cost beside its own text: a generous bound."""
NOTES_BYTES = 64_000
NOTE_BYTES = 200


@dataclass(slots=True)
class News:
    """What the next decision has to be told; `size` bounds its tokens from above, by bytes."""

    observations: list[Observation] = field(default_factory=list[Observation])
    notes: list[str] = field(default_factory=list[str])
    size: int = 0

    def weigh(self, text: str) -> None:
        """Counts a text that the next request to the model gains."""
        self.size += len(text.encode("utf-8", "replace")) + ITEM_OVERHEAD

    def note(self, text: str) -> None:
        """Adds a word of the runtime to the model; cut where all of them would not fit into the history."""
        room = NOTES_BYTES - sum(len(note.encode()) for note in self.notes)
        shown, _ = shortened(text, max(NOTE_BYTES, room))
        self.notes.append(shown)
        self.weigh(shown)


def _never_begun(name: str, activity_id: str) -> ActivityError:
    """The error that an activity ends with that was cancelled before it began."""
    return ActivityError(
        "cancelled before it began",
        scheduled_event_id=0,
        started_event_id=0,
        identity="",
        activity_type=name,
        activity_id=activity_id,
        retry_state=None,
    )


class LiveRun:
    """What the workflow's parts share while a run is alive."""

    def __init__(self, request: RunRequest) -> None:
        self.request = request
        self.ledger = Ledger()
        self.admission: Admission | None = None
        self.answer: str | None = None
        self.news = News()
        self.last_decision: str | None = None
        self.asked: dict[str, dict[str, Any]] = {}
        self._board = Noticeboard(request)
        self._handles: dict[str, workflow.ActivityHandle[Any]] = {}
        self._started: datetime | None = None
        self._closed: Stop | None = None
        self._is_closed = False
        self._seconds: int | None = None
        self._waited = timedelta(0)
        self._waits_since: datetime | None = None
        self._due = False

    @property
    def state(self) -> RunState:
        """The state the kernel decides by."""
        return self.ledger.state

    @property
    def stop(self) -> Stop | None:
        """Why the run ends, once there is a reason."""
        return self._closed or next_stop(self.state)

    @property
    def over(self) -> bool:
        """Whether the run is about to end, so that nobody should be waited for."""
        return self.stop is not None or self.state.cancelled

    def apply(self, event: Event) -> None:
        """Lets an event happen; where it interrupts the run, running activities are cancelled at once."""
        self.ledger.apply(event, workflow.now())
        self._clock_waiting()
        if interruption(self.state):
            for handle in self._handles.values():
                handle.cancel()
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self.publish)

    def admitted(self, admission: Admission) -> None:
        """Fixes what the run was admitted with."""
        self.admission = admission
        self._board.search_attributes = admission.search_attributes

    def close(self, stop: Stop | None) -> None:
        """Marks the run as closed, for everybody who asks from now on."""
        self._seconds = self.seconds()
        self._closed, self._is_closed = stop, True
        self.publish()

    async def go_ahead(self) -> bool:
        """Waits while the run is paused; False where it is to stop instead."""
        await workflow.wait_condition(lambda: not self.state.paused or interruption(self.state))
        return not interruption(self.state)

    async def interrupted_within(self, time: timedelta) -> bool:
        """Waits for a time, and no longer than until the run is interrupted; whether it was."""
        try:
            await workflow.wait_condition(lambda: interruption(self.state), timeout=time)
        except TimeoutError:
            return False
        return True

    async def execute(self, name: str, given: Contract, result: type[Any], **how: Any) -> Any:
        """Runs an activity that an interruption cancels and then waits for.

        Raises:
            ActivityError: the activity failed, or was cancelled.
        """
        handle = workflow.start_activity(name, given, result_type=result, **how)
        self._handles[how["activity_id"]] = handle
        try:
            return await handle
        except asyncio.CancelledError:
            # One that is cancelled in the task that scheduled it has not begun: the engine is never told of it.
            raise _never_begun(name, how["activity_id"]) from CancelledError()
        finally:
            del self._handles[how["activity_id"]]

    def say(self, kind: Any, **content: Any) -> None:
        """Adds an item to the transcript."""
        self.ledger.say(TranscriptItem(n=0, step=content.pop("step", self.state.step), kind=kind, **content))

    def seconds(self) -> int:
        """Wall-clock seconds since the run's first task; the clock stops where the deadline passes, and at the end."""
        if self._seconds is not None:
            return self._seconds
        limit = self.state.budget.limits.seconds
        if self.state.deadline_passed and limit is not None:
            return limit
        elapsed = workflow.now() - workflow.info().start_time
        if self.admission is not None and self.admission.seconds_exclude_approvals:
            elapsed -= self._waited + (workflow.now() - self._waits_since if self._waits_since else timedelta(0))
        return max(0, int(elapsed / timedelta(seconds=1)))

    def _clock_waiting(self) -> None:
        """Counts the time in which the run waits for people."""
        waits, now = bool(self.state.open_approvals), workflow.now()
        if waits and self._waits_since is None:
            self._waits_since = now
        elif not waits and self._waits_since is not None:
            self._waited += now - self._waits_since
            self._waits_since = None

    def now_ms(self) -> int:
        """Workflow time in milliseconds since the epoch."""
        return int((workflow.now() - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))

    def status(self) -> RunStatusView:
        """The answer of the query `status`."""
        return status_of(self.state, self.admission, self.seconds(), self._is_closed, self.stop, self.pending())

    def pending(self) -> list[PendingApproval]:
        """The open approvals, with the arguments they are about."""
        return [
            PendingApproval.of(approval, self.asked.get(approval.approval_id, {}))
            for approval in self.state.open_approvals
        ]

    def publish(self) -> None:
        """Shows where the run stands, in search attributes and current details; once for all that happens together."""
        self._due = False
        self._board.publish(self.status())

    @property
    def key(self) -> str:
        """The run's own part of every idempotency key: stable over crashes, continue-as-new and resets."""
        info = workflow.info()
        name = f"{info.namespace}\n{info.workflow_id}\n{info.first_execution_run_id}"
        return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def result(self, stop: Stop) -> RunResult:
        """What the run answers."""
        return result_of(
            self.request,
            workflow.info().workflow_id,
            self.state,
            self.admission,
            self.ledger.audit,
            stop,
            self.answer,
            self.seconds(),
        )
