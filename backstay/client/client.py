"""The client for applications: starts runs, asks for them, and stops them.

    client = await BackstayClient.connect()
    run = await client.start(RunRequest(goal="Where is order A18?", agent="support"), run_id="ticket-4711")
    result = await run.result()

Any Temporal client can do the same with the names in `backstay.contracts.names`; this one adds types.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from backstay.adapters.engine.errors import in_our_words, result_of_failure
from backstay.client.connection import connect
from backstay.client.overview import Overview, overview_of
from backstay.contracts import names
from backstay.contracts.approval import EditResult, VoteResult
from backstay.contracts.messages import Answer, Edit, Hold, Kill, MessageState, Vote
from backstay.contracts.problems import Contract, problems_of
from backstay.contracts.run import RunRequest, RunResult, plain
from backstay.contracts.status import Page, PageRequest, RunStatusView, TranscriptItem
from backstay.errors import InvalidInputError, NoResultError, NoWorkerError, RunNotFoundError
from backstay.settings import load_settings

SUMMARY = 100
_POLL_SECONDS = 70  # a poll lasts a minute, and is counted from its start


class BackstayClient:
    """Starts runs and speaks to them, over a Temporal client with any data converter that carries JSON.

    Every method raises `UnreachableError` where no server answers, and `ConfigurationError` where it lets nobody in or
    has no such namespace.

    Attributes:
        temporal: the client underneath.
        task_queue: where runs are started.
        patience: seconds that a worker has to answer a question or an order.
    """

    def __init__(self, client: Client, task_queue: str = names.TASK_QUEUE, *, patience: float = 10.0) -> None:
        self.temporal = client
        self.task_queue = task_queue
        self.patience = patience

    @classmethod
    async def connect(cls, **overrides: Any) -> "BackstayClient":
        """A client of the server and the task queue that the environment names.

        Raises:
            UnreachableError: no Temporal server answers there.
            ConfigurationError: the environment cannot be read.
        """
        return cls(await connect(**overrides), load_settings().task_queue)

    async def start(self, request: RunRequest, run_id: str | None = None) -> "Run":
        """Starts a run, once for each `run_id`: while such a run is open, the handle is that run's.

        Raises:
            RunExistsError: a run of that id has closed already.
        """
        run_id = run_id or f"{request.agent}-{uuid.uuid4().hex[:12]}"
        goal = " ".join(request.goal.split())
        with in_our_words(self.temporal, run_id):
            await self.temporal.start_workflow(
                names.AGENT_RUN,
                plain(request),
                id=run_id,
                task_queue=self.task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary=goal if len(goal) <= SUMMARY else goal[: SUMMARY - 1] + "…",
            )
        return self.run(run_id)

    def run(self, run_id: str) -> "Run":
        """A handle of a run; nothing is sent, so the run need not exist."""
        return Run(run_id, self)

    async def status(self, run_id: str) -> RunStatusView:
        """Where a run stands, open or closed.

        Raises:
            RunNotFoundError: there is no such run.
            NoWorkerError: no worker answered; `describe` says what is known without one.
        """
        return RunStatusView.model_validate(await self._query(run_id, names.STATUS))

    async def describe(self, run_id: str) -> Overview:
        """What the engine knows of a run, without asking a worker.

        Raises:
            RunNotFoundError: there is no such run.
        """
        with in_our_words(self.temporal, run_id):
            described = await self._handle(run_id).describe(rpc_timeout=timedelta(seconds=self.patience))
            if described.workflow_type != names.AGENT_RUN:
                raise RunNotFoundError(run_id, self.temporal.namespace)
            return await overview_of(described)

    async def result(self, run_id: str) -> RunResult:
        """Waits for a run's end and returns its result: of a completed, a stopped and a failed run alike.

        Raises:
            RunNotFoundError: there is no such run.
            InvalidInputError: the run was not admitted.
            NoResultError: it was cancelled or terminated, timed out, or is no run of an agent.
        """
        with in_our_words(self.temporal, run_id):
            try:
                return RunResult.model_validate(await self._handle(run_id).result())
            except WorkflowFailureError as error:
                return result_of_failure(run_id, error)
            except ValidationError as error:
                raise NoResultError(run_id, "completed", "with a value that is no result of a run") from error

    async def transcript(self, run_id: str, after: int = 0) -> AsyncGenerator[TranscriptItem]:
        """The conversation of a run so far, item by item, from the one that follows number `after`.

        Raises:
            RunNotFoundError: there is no such run.
            NoWorkerError: no worker answered.
        """
        async for item in self._items(run_id, names.TRANSCRIPT, after):
            yield TranscriptItem.model_validate(item)

    async def audit(self, run_id: str, after: int = 0) -> AsyncGenerator[dict[str, Any]]:
        """The audit records of a run so far, as plain JSON, from the one that follows number `after`.

        Raises:
            RunNotFoundError: there is no such run.
            NoWorkerError: no worker answered.
        """
        async for record in self._items(run_id, names.AUDIT, after):
            yield record

    async def kill(self, run_id: str, by: str, reason: str) -> MessageState:
        """Ends a run: no new decision, no new action; running ones are cancelled. Returns once the order is taken.

        Raises:
            RunNotFoundError: there is no such run.
            RunClosedError: it has closed already.
            RefusedError: the run refused the order; says why.
            NoWorkerError: no worker answered. Unlike a signal of the same name, the order is then not kept.
        """
        return await self._order(run_id, names.KILL, Kill, by=by, reason=reason)

    async def pause(self, run_id: str, by: str, reason: str | None = None) -> MessageState:
        """Holds a run back from new decisions and actions; what runs already finishes. Raises as `kill` does."""
        return await self._order(run_id, names.PAUSE, Hold, by=by, reason=reason)

    async def resume(self, run_id: str, by: str, reason: str | None = None) -> MessageState:
        """Lets a paused run go on. Raises as `kill` does."""
        return await self._order(run_id, names.RESUME, Hold, by=by, reason=reason)

    async def approve(
        self, run_id: str, approval_id: str, by: str, comment: str | None = None, proof: str | None = None
    ) -> VoteResult:
        """Says yes to one open approval; the answer `open` says that more people are needed. Raises as `kill`."""
        given = {"approval_id": approval_id, "by": by, "comment": comment, "proof": proof}
        return VoteResult.model_validate(await self._update(run_id, names.APPROVE, Vote, given))

    async def deny(
        self, run_id: str, approval_id: str, by: str, comment: str | None = None, proof: str | None = None
    ) -> VoteResult:
        """Says no to one open approval; the model reads the comment. Raises as `kill` does."""
        given = {"approval_id": approval_id, "by": by, "comment": comment, "proof": proof}
        return VoteResult.model_validate(await self._update(run_id, names.DENY, Vote, given))

    async def answer(self, run_id: str, approval_id: str, by: str, answer: str, result: Any = None) -> VoteResult:
        """Says what became of a call: `happened` (with its result), `not_happened` or `stop`. Raises as `kill` does."""
        given = {"approval_id": approval_id, "by": by, "answer": answer, "result": result}
        return VoteResult.model_validate(await self._update(run_id, names.ANSWER, Answer, given))

    async def edit(
        self, run_id: str, approval_id: str, by: str, args: dict[str, Any], comment: str | None = None
    ) -> EditResult:
        """Replaces the arguments of a waiting call, which is then judged as a new action. Raises as `kill` does."""
        given = {"approval_id": approval_id, "by": by, "args": args, "comment": comment}
        return EditResult.model_validate(await self._update(run_id, names.EDIT, Edit, given))

    async def post_kill(self, run_id: str, by: str, reason: str) -> None:
        """Leaves the order to end a run with the engine, by signal: whichever worker takes the run up next obeys it.

        Raises:
            RunNotFoundError: there is no such run.
            RunClosedError: it has closed already.
        """
        message = _message(Kill, {"by": by, "reason": reason})
        with in_our_words(self.temporal, run_id):
            await self._handle(run_id).signal(names.KILL, message, rpc_timeout=timedelta(seconds=self.patience))

    async def workers(self) -> int:
        """How many workers have asked for runs of the task queue within about the last minute."""
        request = DescribeTaskQueueRequest(
            namespace=self.temporal.namespace,
            task_queue=TaskQueue(name=self.task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        with in_our_words(self.temporal, ""):
            answer = await self.temporal.workflow_service.describe_task_queue(request)
        recent = datetime.now(UTC) - timedelta(seconds=_POLL_SECONDS)
        return sum(poller.last_access_time.ToDatetime(UTC) > recent for poller in answer.pollers)

    def _handle(self, run_id: str) -> WorkflowHandle[Any, Any]:
        return self.temporal.get_workflow_handle(run_id)

    async def _query(self, run_id: str, name: str, *given: Any) -> Any:
        timeout = timedelta(seconds=self.patience)
        with in_our_words(self.temporal, run_id):
            return await self._handle(run_id).query(name, args=given, rpc_timeout=timeout)

    async def _items(self, run_id: str, name: str, after: int) -> AsyncGenerator[dict[str, Any]]:
        at: int | None = after
        while at is not None:
            page = Page.model_validate(await self._query(run_id, name, plain(PageRequest(after=at))))
            for item in page.items:
                yield item
            at = page.next

    async def _order(self, run_id: str, name: str, model: type[Contract], **given: str | None) -> MessageState:
        return MessageState.model_validate(await self._update(run_id, name, model, given))

    async def _update(self, run_id: str, name: str, model: type[Contract], given: Mapping[str, Any]) -> Any:
        message = _message(model, given)
        timeout = timedelta(seconds=self.patience)
        with in_our_words(self.temporal, run_id):
            try:
                async with asyncio.timeout(self.patience + 1):
                    return await self._handle(run_id).execute_update(name, message, rpc_timeout=timeout)  # pyright: ignore[reportUnknownMemberType]
            except TimeoutError:
                raise NoWorkerError(run_id) from None


def _message(model: type[Contract], given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return plain(model.model_validate(given))
    except ValidationError as error:
        raise InvalidInputError(problems_of(error)) from None


@dataclass(frozen=True, slots=True)
class Run:
    """A handle of one run: the methods of `BackstayClient` with its id filled in."""

    run_id: str
    client: BackstayClient

    async def status(self) -> RunStatusView:
        """Where the run stands."""
        return await self.client.status(self.run_id)

    async def describe(self) -> Overview:
        """What the engine knows of the run, without asking a worker."""
        return await self.client.describe(self.run_id)

    async def result(self) -> RunResult:
        """Waits for the run's end and returns its result."""
        return await self.client.result(self.run_id)

    def transcript(self, after: int = 0) -> AsyncGenerator[TranscriptItem]:
        """The conversation so far."""
        return self.client.transcript(self.run_id, after)

    def audit(self, after: int = 0) -> AsyncGenerator[dict[str, Any]]:
        """The audit records so far."""
        return self.client.audit(self.run_id, after)

    async def kill(self, by: str, reason: str) -> MessageState:
        """Ends the run."""
        return await self.client.kill(self.run_id, by, reason)

    async def pause(self, by: str, reason: str | None = None) -> MessageState:
        """Holds the run back."""
        return await self.client.pause(self.run_id, by, reason)

    async def resume(self, by: str, reason: str | None = None) -> MessageState:
        """Lets the run go on."""
        return await self.client.resume(self.run_id, by, reason)

    async def approve(self, approval_id: str, by: str, comment: str | None = None) -> VoteResult:
        """Says yes to one open approval."""
        return await self.client.approve(self.run_id, approval_id, by, comment)

    async def deny(self, approval_id: str, by: str, comment: str | None = None) -> VoteResult:
        """Says no to one open approval."""
        return await self.client.deny(self.run_id, approval_id, by, comment)

    async def answer(self, approval_id: str, by: str, answer: str, result: Any = None) -> VoteResult:
        """Says what became of a call whose end nobody saw."""
        return await self.client.answer(self.run_id, approval_id, by, answer, result)

    async def edit(self, approval_id: str, by: str, args: dict[str, Any], comment: str | None = None) -> EditResult:
        """Replaces the arguments of a waiting call."""
        return await self.client.edit(self.run_id, approval_id, by, args, comment)
