"""Takes the messages by which people steer a run: kill, pause, resume, and grant more of the budget."""

from typing import Any

from temporalio import workflow

from backstay.contracts import names
from backstay.contracts.messages import NOBODY, Grant, GrantResult, Hold, MessageState
from backstay.kernel.approval import Refusal
from backstay.kernel.events import Granted, Killed, Paused, Resumed

from .approve import Approvals
from .clock import Clock
from .family import Family
from .grant import granted
from .live import LiveRun
from .messages import Messages
from .record import Record


class Orders:
    """Does what people tell a run to do."""

    def __init__(self, record: Record, clock: Clock, messages: Messages, family: Family) -> None:
        self._family = family
        self._record = record
        self._clock = clock
        self._messages = messages
        self._run: LiveRun | None = None
        self._approvals: Approvals | None = None

    def begin(self, run: LiveRun, approvals: Approvals) -> None:
        """Takes grants from now on: until a run is admitted nobody knows who may grant."""
        self._run, self._approvals = run, approvals

    async def kill(self, args: tuple[Any, ...]) -> MessageState:
        """Ends the run, whatever the message holds."""
        kill = self._messages.kill(args)
        # A kill always kills, and waits for no proof: where names must be proven, it names nobody.
        by = NOBODY if self._messages.proofs_required else kill.by
        self._record.apply(Killed(by, kill.reason))
        return self._messages.state()

    async def pause(self, args: tuple[Any, ...]) -> MessageState:
        """Holds the run: no new decision or action until it is resumed."""
        pause = self._messages.read(names.PAUSE, Hold, args)
        await self._messages.check_sender(names.PAUSE, pause)
        self._family.people_decide()
        self._record.apply(Paused(pause.by, pause.reason))
        return self._messages.state()

    async def resume(self, args: tuple[Any, ...]) -> MessageState:
        """Lets a paused run go on."""
        resume = self._messages.read(names.RESUME, Hold, args)
        await self._messages.check_sender(names.RESUME, resume)
        self._family.people_decide()
        self._record.apply(Resumed(resume.by, resume.reason))
        return self._messages.state()

    async def grant(self, args: tuple[Any, ...]) -> GrantResult:
        """Raises limits of the run."""
        grant = self._messages.read(names.GRANT, Grant, args)
        await workflow.wait_condition(lambda: self._run is not None or self._record.over or self._record.closed)
        self._clock.check_deadline()
        self._granted(grant)  # nothing is verified for a message that is refused anyway
        await self._messages.check_sender(names.GRANT, grant)
        # While the proof was verified the run may have ended, and other grants may have taken the room.
        event = self._granted(grant)
        self._record.apply(event)
        if self._approvals is not None:
            self._approvals.raised(event)
        return GrantResult(state=self._messages.state().state, budget=self._record.limits())

    def _granted(self, grant: Grant) -> Granted:
        after = granted(self._run, grant)
        if isinstance(after, Refusal):
            raise self._messages.refused(names.GRANT, after.code, after.text, grant.by)
        return after
