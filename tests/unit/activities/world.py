"""A world that wires the activities to the ports in memory."""

import copy
import dataclasses
from datetime import datetime
from typing import Any

from temporalio.testing import ActivityEnvironment

from activities.authorize import Authorize
from activities.claim import EffectIds
from activities.conversation import Conversations
from activities.decide import Asking
from activities.prepare import PreparedCall, Preparer
from activities.review import Reviewer
from backstay.contracts.admission import ToolSpec
from backstay.contracts.call import ActInput
from backstay.contracts.decision import DecideInput, Decision, ProposedCall
from backstay.contracts.history import RunRef
from backstay.contracts.policy import AuthorizeInput, AuthorizeResult, RunFacts
from backstay.kernel.verdict import Verdict

from .fakes import (
    RUN,
    FakeAlarms,
    FakeAttempts,
    FakeCatalog,
    FakeControl,
    FakeGate,
    FakeHistory,
    FakeModels,
    FakeNotifier,
    FakeReports,
    FakeSecrets,
    FakeTool,
    opening,
    tool_spec,
)
from .shared_effects import FakeEffects


class World:
    """One worker's ports and one attempt of an activity; `beats` are the details of its heartbeats."""

    def __init__(self, *specs: ToolSpec) -> None:
        self.tools = {spec.name: FakeTool(spec) for spec in specs or (tool_spec(),)}
        self.catalog = FakeCatalog(dict(self.tools))
        self.gate = FakeGate()
        self.history = FakeHistory({RUN: opening(*(tool.spec for tool in self.tools.values()))})
        self.models = FakeModels()
        self.alarms = FakeAlarms()
        self.reports = FakeReports()
        self.attempts = FakeAttempts()
        self.effects = FakeEffects()
        self.effect_ids = EffectIds(b"the fleet's own")
        self.notifier = FakeNotifier()
        self.secrets = FakeSecrets({"SHOP_TOKEN": "canary-4242"})
        self.conversations = Conversations(self.history, 1_000_000)
        self.control = FakeControl()
        self.reviewer = Reviewer(self.catalog, self.gate, self.control)
        self.preparer = Preparer(self.conversations, self.reviewer, self.secrets, self.control, self.reports)
        self.asking = Asking(self.conversations, self.models, self.control)
        self.beats: list[tuple[Any, ...]] = []
        self.env = ActivityEnvironment()
        self.env.on_heartbeat = lambda *details: self.beats.append(copy.deepcopy(details))
        self.attempt(1)

    @property
    def tool(self) -> FakeTool:
        """The first tool."""
        return next(iter(self.tools.values()))

    def attempt(self, number: int, *details: Any) -> None:
        """Makes this the attempt of a number; `details` is what the last heartbeat before it left."""
        self._inform(attempt=number, heartbeat_details=list(details))

    def began(self, at: datetime) -> None:
        """Makes this an attempt that the engine began at a moment."""
        self._inform(started_time=at)

    def within(self, run: RunRef) -> None:
        """Makes this an activity of a run."""
        self._inform(workflow_id=run.workflow_id, workflow_run_id=run.run_id)

    def _inform(self, **changes: Any) -> None:
        standing = {"task_queue": "agents"}
        if self.env.info.workflow_id == "test":
            standing |= {"workflow_id": RUN.workflow_id, "workflow_run_id": RUN.run_id}
        self.env.info = dataclasses.replace(self.env.info, **{**standing, **changes})

    def admit(self, **changes: Any) -> None:
        """Changes what the first tool is, as deployed and as admitted."""
        self.tool.spec = self.tool.spec.model_copy(update=changes)
        specs = [tool.spec for tool in self.tools.values()]
        admitted = self.history.openings[RUN].admission.model_copy(update={"tools": specs})
        self.change_opening(admission=admitted)

    def change_opening(self, **changes: Any) -> None:
        """Changes what the history says of the run's start."""
        self.history.openings[RUN] = self.history.openings[RUN].model_copy(update=changes)

    def question(self, *calls: ProposedCall, **changes: Any) -> AuthorizeInput:
        """The input of `authorize` for calls of step 1."""
        started = self.history.openings[RUN]
        given = AuthorizeInput(
            run_id=started.run_id,
            run_key="key",
            agent=started.agent,
            tenant=started.tenant,
            requested_by=started.requested_by,
            goal=started.goal,
            facts=facts(),
            now=1_000,
            calls=list(calls),
            tools={tool.name: tool.digest for tool in started.admission.tools},
        )
        return given.model_copy(update=changes)

    async def authorized(self, *calls: ProposedCall, **changes: Any) -> AuthorizeResult:
        """The verdicts over calls of step 1, before anything is done."""
        self._inform(is_local=True)
        try:
            return await self.env.run(
                Authorize(self.conversations, self.reviewer).authorize, self.question(*calls, **changes)
            )
        finally:
            self._inform(is_local=False)

    async def handed(self, call: ProposedCall | None = None, **changes: Any) -> ActInput:
        """The input of `act` for a call that the model proposed in step 1, and that was authorised."""
        call = call or proposed(self.tool.spec.name)
        decision = Decision(calls=[call])
        self.history.decisions[1] = decision
        [verdict] = (await self.authorized(call, decision=decision.digest(1))).verdicts
        self.gate.asked.clear()
        given = ActInput(
            run_key="key",
            step=1,
            decision=decision.digest(1),
            call_id=call.call_id,
            tool=call.tool,
            digest=verdict.digest,
            content="content",
            facts=facts(),
            now=1_001,
            origins=verdict.origins,
        )
        return given.model_copy(update=changes)

    async def traced(self, call: ProposedCall) -> ActInput:
        """The input of `act` for a call that was authorised with where its values come from."""
        self.history.inputs[1] = DecideInput(step=1, run_key="key", max_output_tokens=50, attempts=2)
        return await self.handed(call)

    async def reviewed_again(self, given: ActInput) -> tuple[Verdict, PreparedCall | None]:
        """The verdict over a call as of now, and the call where it fits its tool."""
        return await self.preparer.prepare(RUN, given)

    async def prepared(self, given: ActInput) -> PreparedCall:
        """The call as it is handed to those who execute it."""
        _, ready = await self.reviewed_again(given)
        assert ready is not None
        return ready


def proposed(tool: str = "pay", arguments: str = '{"amount": 5}', call_id: str = "1-0") -> ProposedCall:
    """A call as the model writes it."""
    return ProposedCall(call_id=call_id, tool=tool, arguments=arguments)


def facts() -> RunFacts:
    """Returns what rules may know of a run in its first step."""
    return RunFacts(step=1, spent_usd=0, tool_calls=0)
