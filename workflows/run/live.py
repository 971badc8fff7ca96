"""One admitted run: the parts that share its state."""

import asyncio
from dataclasses import dataclass, field

from temporalio import workflow

from backstay.contracts.admission import Admission
from backstay.contracts.carried_call import CarriedAsking
from backstay.contracts.decision import Beforehand, EarlyVerdicts, Observation
from backstay.contracts.run import RunRequest
from backstay.contracts.status import TranscriptItem
from backstay.kernel.events import Event
from backstay.kernel.keys import run_key
from backstay.kernel.run_state import RunState

from .changes import knows
from .clock import Clock
from .news import News
from .parked import Parked
from .record import Record
from .running import Running
from .words import CallTold

JUDGED_AT_ONCE = 4
"""The most questions to policy at once: each holds the goal, and all that a task begins goes in one message."""


@dataclass(slots=True)
class Context:
    """The conversation as far as compacting it needs to know.

    Attributes:
        turns: the transcript's number of each decision that came.
        compactions: how many were asked for.
        wait_for: the tokens before which none is asked for again, where there was nothing to compact.
    """

    turns: list[int] = field(default_factory=list[int])
    compactions: int = 0
    wait_for: int = 0


class LiveRun:
    """An admitted run: its record, its clock, its running activities and its news."""

    def __init__(
        self, request: RunRequest, admission: Admission, *, record: Record, clock: Clock, running: Running
    ) -> None:
        self.request = request
        self.admission = admission
        self.record = record
        self.clock = clock
        self.running = running
        self._key: str | None = None
        self.news = News()
        self.parked = Parked()
        self.left: CarriedAsking | None = None
        """The decision that the link before has left standing, until it goes on."""
        self.telling: News | None = None
        """What the decision that is asked for now is told."""
        self.context = Context()
        self.last_decision: str | None = None
        """Digest of the last recorded decision."""
        self.early: tuple[Beforehand, EarlyVerdicts] | None = None
        """The verdicts that came with the last decision, and what policy was told for them."""
        self.decided = 0
        """The step of the last recorded decision."""
        self.answer: str | None = None
        self.link = 1
        """The number of the link of its chain that it is in."""
        self.labels: set[str] = set()
        """The labels of what child runs have read."""
        self.servers: set[tuple[str, str]] = set()
        """The MCP servers that were another one than when they were pinned, each with what it calls itself."""
        self.told: dict[str, CallTold] = {}
        """The calls of the last decision, for people, by call id."""
        self.judging = asyncio.Semaphore(JUDGED_AT_ONCE)
        self.judged_now = 0
        """How often policy was asked while a person waited for its verdict."""
        self.knows_all = False
        """True where the calls of a decision were begun by a worker that knows all changes of the runtime so far."""

    @property
    def state(self) -> RunState:
        """The state the kernel decides by."""
        return self.record.state

    @property
    def key(self) -> str:
        """The run's own part of every idempotency key: stable over crashes, continue-as-new and resets."""
        if self._key is None:
            info = workflow.info()
            self._key = run_key(info.namespace, info.workflow_id, info.first_execution_run_id)
        return self._key

    def knows(self, change: str) -> bool:
        """Tells whether the run is carried on with a change of the runtime; recorded runs may be older than it."""
        return self.knows_all or knows(change)

    def apply(self, event: Event) -> None:
        """Lets an event happen."""
        self.record.apply(event)

    def observe(self, observation: Observation, tool: str, text: str, status: str) -> None:
        """Takes down the one result of a call, for the model and for the transcript."""
        self.news.observe(observation, text)
        told = self.told.get(observation.call_id)
        item = TranscriptItem(kind="result", call_id=observation.call_id, tool=tool, text=text, status=status)
        item = item.model_copy(update={"grant": told.grant}) if told and told.grant else item
        self.record.say(item)
