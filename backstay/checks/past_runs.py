"""Reads what policy was asked about the calls of past runs, and what it answered, from their histories.

A history holds the answers. The questions are found by replaying it: the run's own code, given all that happened, asks
them again with the facts, the time, the consents and the sums of then. Nothing is executed.
"""

import asyncio
import contextlib
import functools
import logging
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, cast

from temporalio import workflow
from temporalio.client import Client, WorkflowHistory
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import (
    Interceptor,
    Replayer,
    StartActivityInput,
    StartLocalActivityInput,
    UnsandboxedWorkflowRunner,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from temporalio.workflow import ActivityHandle

from backstay.adapters.engine.errors import in_our_words
from backstay.adapters.engine.executions import Execution, described, listed
from backstay.app import folders
from backstay.client.run_filter import RunFilter, plain
from backstay.client.verdicts import JudgedCall, judged_calls
from backstay.contracts import names
from backstay.contracts.admission import Admission
from backstay.contracts.call import ActInput, ToolResult
from backstay.contracts.decision import ProposedCall
from backstay.contracts.history import RunRef
from backstay.contracts.policy import AuthorizeInput, AuthorizeResult
from backstay.errors import CodecError, ConfigurationError, RunNotFoundError
from backstay.kernel.verdict import Verdict

_AGENT = SearchAttributeKey.for_keyword("BackstayAgent")
_GONE = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question:
    """The calls that policy was asked about together, and its recorded verdicts, one for each call.

    Attributes:
        given: what was asked.
        verdicts: the answer.
        unknown: why nobody can ask it again; empty where all of it was recorded.
    """

    given: AuthorizeInput
    verdicts: Sequence[Verdict]
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class PastRun:
    """One link of a run, as its history or the archive has it.

    Attributes:
        questions: what policy was asked and answered, in order.
        admission: of the run; None where it was admitted in an earlier link.
        calls: the calls with their verdicts alone, where the questions cannot be found.
        trouble: why they cannot.
        archived: True where it is read from the archive, whose questions name no tool's schema: digests of verdicts do.
    """

    ref: RunRef
    questions: Sequence[Question] = ()
    admission: Admission | None = None
    calls: Sequence[JudgedCall] = ()
    trouble: str = ""
    archived: bool = False

    @property
    def source(self) -> str:
        """The place that tells of it, in a word."""
        return "archive" if self.archived else "history"


@dataclass(frozen=True, slots=True)
class Unread:
    """A part of the past that cannot be read, and why: nobody knows which calls it has.

    Attributes:
        ref: the link of a run, where the history is there.
    """

    name: str
    why: str
    ref: RunRef | None = None


async def links_since(client: Client, task_queue: str, since: datetime, agent: str | None) -> list[RunRef]:
    """Lists the links of runs that were open at some time since a moment, the first to start first.

    Args:
        client: the connection to Temporal.
        task_queue: where the runs are served.
        since: the moment.
        agent: leaves out what the index has as runs of other agents.

    Raises:
        UnreachableError: Temporal does not answer.
    """
    began = since.strftime("%Y-%m-%dT%H:%M:%SZ")
    query = f'{RunFilter().query(task_queue)} AND (CloseTime IS NULL OR CloseTime >= "{began}")'
    with in_our_words(client, ""):
        found = [one async for one in listed(client, query) if agent in (None, one.attributes.get(_AGENT) or agent)]
    return _refs(found)


async def links_of(client: Client, run_id: str) -> list[RunRef]:
    """Lists the links of a run that Temporal still has, the first to start first.

    Raises:
        RunNotFoundError: Temporal knows no such run.
        UnreachableError: Temporal does not answer.
    """
    with in_our_words(client, run_id):
        latest = await described(client, run_id)
        if latest.workflow_type != names.AGENT_RUN:
            raise RunNotFoundError(run_id, client.namespace)
        found = [latest]
        # Only a run that was reset has more links, and the index cannot be asked for an id with a quotation mark.
        with contextlib.suppress(ConfigurationError):
            query = f'WorkflowType = "{names.AGENT_RUN}" AND WorkflowId = "{plain(run_id)}"'
            found += [one async for one in listed(client, query) if one.run_id != latest.run_id]
    return _refs(found)


def _refs(found: Iterable[Execution]) -> list[RunRef]:
    return [RunRef(one.workflow_id, one.run_id) for one in sorted(found, key=lambda one: one.started_at)]


def silenced() -> None:
    """Silences the SDK's log: a history that does not replay is told as such, and its traceback helps nobody."""
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)


async def past_runs(client: Client, links: Iterable[RunRef]) -> AsyncGenerator[PastRun | Unread]:
    """Yields what policy was asked in some links of runs; links that Temporal forgets meanwhile are left out.

    Those that are encrypted with a key that is not here are unread.

    Raises:
        UnreachableError: Temporal does not answer.
    """
    heard, pushed = _Heard(), deque[RunRef]()
    replayer = Replayer(
        workflows=[folders.agent_run.AgentRun],
        workflow_runner=UnsandboxedWorkflowRunner(),  # it is our own code, and nothing of it is kept
        namespace=client.namespace,
        data_converter=client.data_converter,
        interceptors=[heard],
    )
    with in_our_words(client, ""):
        async with replayer.workflow_replay_iterator(_histories(client, links, pushed)) as results:
            async for result in results:
                ref = pushed.popleft()  # a history that was reset names another link as its own
                found = heard.taken(ref, result.history.run_id)
                if result.replay_failure is None:
                    yield found
                else:
                    yield await _not_replayed(client, ref)


async def _not_replayed(client: Client, ref: RunRef) -> PastRun | Unread:
    try:
        calls = await judged_calls(client, ref.workflow_id, ref.run_id)
    except CodecError as error:
        return Unread(ref.workflow_id, str(error), ref)
    return PastRun(ref, calls=calls, trouble="its history does not replay with this version of Backstay")


async def _histories(client: Client, links: Iterable[RunRef], pushed: deque[RunRef]) -> AsyncIterator[WorkflowHistory]:
    for ref in links:
        try:
            history = await client.get_workflow_handle(ref.workflow_id, run_id=ref.run_id).fetch_history()
        except RPCError as error:
            if error.status not in _GONE:
                raise
        else:
            pushed.append(ref)
            yield history


@dataclass(slots=True)
class _Notes:
    """Keeps what one replayed link asked, in order; a question that has no answer yet, or never got one, has None."""

    questions: list[tuple[AuthorizeInput, list[Verdict] | None]] = field(
        default_factory=list[tuple[AuthorizeInput, list[Verdict] | None]]
    )
    admission: Admission | None = None

    def asked(self, given: AuthorizeInput) -> Callable[[AuthorizeResult], None]:
        """Notes a question, and returns what notes its answer."""
        at = len(self.questions)
        self.questions.append((given, None))

        def answered(result: AuthorizeResult) -> None:
            self.questions[at] = (given, result.verdicts)

        return answered

    def acted(self, given: ActInput, result: ToolResult) -> None:
        """Notes the refusal of a call just before its effect, as a question of its own: rules had changed meanwhile."""
        if result.verdict is None:
            return
        for asked, _ in reversed(self.questions):
            for call in asked.calls:
                if call.call_id == given.call_id:
                    self.questions.append((_again(asked, call, given), [result.verdict]))
                    return

    def admitted(self, admission: Admission) -> None:
        """Notes what was admitted."""
        self.admission = admission


def _again(asked: AuthorizeInput, call: ProposedCall, given: ActInput) -> AuthorizeInput:
    """Returns the question about one call as it was asked again just before its effect."""
    call = call if given.arguments is None else call.model_copy(update={"arguments": given.arguments})
    return asked.model_copy(
        update={
            "facts": given.facts,
            "now": given.now,
            "calls": [call],
            "consents": {given.call_id: given.consent},
            "counted": {given.call_id: given.counted},
            "origins": {given.call_id: given.origins} if given.origins else {},
        }
    )


class _Heard(Interceptor):
    """Hears what replayed runs ask policy, and what histories answer."""

    def __init__(self) -> None:
        self._notes: dict[str, _Notes] = defaultdict(_Notes)

    def taken(self, ref: RunRef, named: str) -> PastRun:
        """Returns what was heard of a link, under the id that its history names, and forgets it."""
        notes = self._notes.pop(named, _Notes())
        answered = [
            Question(given, verdicts)
            for given, verdicts in notes.questions
            if verdicts is not None and len(verdicts) == len(given.calls)
        ]
        return PastRun(ref, answered, notes.admission)

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        """Returns the interceptor of a workflow."""
        notes = self._notes
        functions = cast("dict[str, Any]", input.unsafe_extern_functions)  # pyright: ignore[reportUnknownMemberType]

        def listen(given: AuthorizeInput, result: AuthorizeResult) -> None:
            notes[workflow.info().run_id].asked(given)(result)

        functions[folders.early.LISTENS] = listen

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(_Outbound(outbound, notes))

        return Inbound


class _Outbound(WorkflowOutboundInterceptor):
    def __init__(self, next: WorkflowOutboundInterceptor, notes: dict[str, _Notes]) -> None:
        super().__init__(next)
        self._of = notes

    def start_activity(self, input: StartActivityInput) -> ActivityHandle[Any]:
        handle = super().start_activity(input)
        self._listen(handle, input.activity, input.args)
        return handle

    def start_local_activity(self, input: StartLocalActivityInput) -> ActivityHandle[Any]:
        handle = super().start_local_activity(input)
        self._listen(handle, input.activity, input.args)
        return handle

    def _listen(self, handle: ActivityHandle[Any], name: str, args: Sequence[Any]) -> None:
        notes = self._of[workflow.info().run_id]
        given = args[0] if args else None
        if name == names.AUTHORIZE and isinstance(given, AuthorizeInput) and not given.brief:
            _when_done(handle, AuthorizeResult, notes.asked(given))
        elif name == names.ACT and isinstance(given, ActInput):
            _when_done(handle, ToolResult, functools.partial(notes.acted, given))
        elif name == names.ADMIT:
            _when_done(handle, Admission, notes.admitted)


def _when_done(handle: ActivityHandle[Any], kind: type[T], then: Callable[[T], None]) -> None:
    """Passes on the result of an activity; one that failed, or was dropped with its run, has none."""

    def done(task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and task.exception() is None and isinstance(result := task.result(), kind):
            then(result)

    handle.add_done_callback(done)
