"""Starts runs, reads them and sends them messages, for applications.

Any Temporal client can do the same with the names in `backstay.contracts.names`; this one adds types.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Mapping
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
from backstay.client.run import Run
from backstay.contracts import names
from backstay.contracts.approval import EditResult, VoteResult
from backstay.contracts.messages import Answer, Edit, Hold, Kill, MessageState, Vote
from backstay.contracts.problems import Contract, problems_of
from backstay.contracts.run import RunRequest, RunResult, plain
from backstay.contracts.status import Page, PageRequest, RunStatusView, TranscriptItem
from backstay.errors import InvalidInputError, NoResultError, NoWorkerError, RunNotFoundError
from backstay.settings import load_settings

SUMMARY = 100
_POLL_SECONDS = 70  # Temporal records the start of a worker's poll, and a poll lasts a minute


class BackstayClient:
    """A client that starts runs and speaks to them, over any Temporal client with a data converter for JSON.

    Every method raises `UnreachableError` where no server answers, and `ConfigurationError` where the server refuses
    the credentials or lacks the namespace.

    Attributes:
        temporal: the Temporal client underneath.
        task_queue: the task queue where runs start.
        patience: the seconds that a worker has to answer.
    """

    def __init__(self, client: Client, task_queue: str = names.TASK_QUEUE, *, patience: float = 10.0) -> None:
        self.temporal = client
        self.task_queue = task_queue
        self.patience = patience

    @classmethod
    async def connect(cls, **overrides: Any) -> "BackstayClient":
        """Connects to the server and task queue named in the environment.

        Args:
            overrides: options of Temporal's `Client.connect`, which win over the environment.

        Raises:
            UnreachableError: no Temporal server answers there.
            ConfigurationError: a variable or Temporal's configuration file cannot be read.
        """
        return cls(await connect(**overrides), load_settings().task_queue)

    async def start(self, request: RunRequest, run_id: str | None = None) -> Run:
        """Starts a run, or returns the open run of the same id.

        Args:
            request: the goal, the agent and what else the run is given.
            run_id: makes the start safe to repeat; a new id unless given.

        Raises:
            RunExistsError: a run of that id has already closed.
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

    def run(self, run_id: str) -> Run:
        """Returns a handle of a run without asking whether it exists."""
        return Run(run_id, self)

    async def status(self, run_id: str) -> RunStatusView:
        """Asks for a run's status, open or closed.

        Raises:
            RunNotFoundError: there is no such run.
            NoWorkerError: no worker answered; `describe` needs none.
        """
        return RunStatusView.model_validate(await self._query(run_id, names.STATUS))

    async def describe(self, run_id: str) -> Overview:
        """Reads what Temporal knows about a run, without asking a worker.

        Raises:
            RunNotFoundError: there is no such run.
        """
        with in_our_words(self.temporal, run_id):
            described = await self._handle(run_id).describe(rpc_timeout=timedelta(seconds=self.patience))
            if described.workflow_type != names.AGENT_RUN:
                raise RunNotFoundError(run_id, self.temporal.namespace)
            return await overview_of(described)

    async def result(self, run_id: str) -> RunResult:
        """Waits until a run ends, and returns its result: completed, stopped or failed.

        Raises:
            RunNotFoundError: there is no such run.
            InvalidInputError: the run was not admitted.
            NoResultError: the run was cancelled or terminated, timed out, or is not an agent's run.
        """
        with in_our_words(self.temporal, run_id):
            try:
                return RunResult.model_validate(await self._handle(run_id).result())
            except WorkflowFailureError as error:
                return result_of_failure(run_id, error)
            except ValidationError as error:
                raise NoResultError(run_id, "completed", "with a value that is not a run's result") from error

    async def transcript(self, run_id: str, after: int = 0) -> AsyncGenerator[TranscriptItem]:
        """Yields the conversation of a run so far, beginning behind item number `after`.

        Raises:
            RunNotFoundError: there is no such run.
            NoWorkerError: no worker answered.
        """
        async for item in self._items(run_id, names.TRANSCRIPT, after):
            yield TranscriptItem.model_validate(item)

    async def audit(self, run_id: str, after: int = 0) -> AsyncGenerator[dict[str, Any]]:
        """Yields the audit records of a run so far as plain JSON, beginning behind record number `after`.

        Raises:
            RunNotFoundError: there is no such run.
            NoWorkerError: no worker answered.
        """
        async for record in self._items(run_id, names.AUDIT, after):
            yield record

    async def kill(self, run_id: str, by: str, reason: str) -> MessageState:
        """Ends a run: starts no new decision or call, and cancels running ones. Returns as soon as the run accepts.

        Raises:
            RunNotFoundError: there is no such run.
            RunClosedError: the run has already closed.
            RefusedError: the run refused the message; the text says why.
            NoWorkerError: no worker answered, and the message is lost; `post_kill` leaves it with Temporal instead.
        """
        return await self._send(run_id, names.KILL, Kill, by=by, reason=reason)

    async def pause(self, run_id: str, by: str, reason: str | None = None) -> MessageState:
        """Stops a run from making new decisions and calls; running ones finish. Raises as `kill` does."""
        return await self._send(run_id, names.PAUSE, Hold, by=by, reason=reason)

    async def resume(self, run_id: str, by: str, reason: str | None = None) -> MessageState:
        """Lets a paused run continue. Raises as `kill` does."""
        return await self._send(run_id, names.RESUME, Hold, by=by, reason=reason)

    async def approve(
        self, run_id: str, approval_id: str, by: str, comment: str | None = None, proof: str | None = None
    ) -> VoteResult:
        """Approves one waiting call; the answer `open` means that more people must approve. Raises as `kill` does."""
        given = {"approval_id": approval_id, "by": by, "comment": comment, "proof": proof}
        return VoteResult.model_validate(await self._update(run_id, names.APPROVE, Vote, given))

    async def deny(
        self, run_id: str, approval_id: str, by: str, comment: str | None = None, proof: str | None = None
    ) -> VoteResult:
        """Denies one waiting call; the model reads the comment. Raises as `kill` does."""
        given = {"approval_id": approval_id, "by": by, "comment": comment, "proof": proof}
        return VoteResult.model_validate(await self._update(run_id, names.DENY, Vote, given))

    async def answer(self, run_id: str, approval_id: str, by: str, answer: str, result: Any = None) -> VoteResult:
        """Tells a run whether a call with an unknown outcome has happened. Raises as `kill` does.

        Args:
            run_id: the run.
            approval_id: the question to answer.
            by: the person who answers.
            answer: `happened`, `not_happened` or `stop`.
            result: the call's result, where it has happened.
        """
        given = {"approval_id": approval_id, "by": by, "answer": answer, "result": result}
        return VoteResult.model_validate(await self._update(run_id, names.ANSWER, Answer, given))

    async def edit(
        self, run_id: str, approval_id: str, by: str, args: dict[str, Any], comment: str | None = None
    ) -> EditResult:
        """Replaces the arguments of a waiting call, and asks policy about it anew. Raises as `kill` does."""
        given = {"approval_id": approval_id, "by": by, "args": args, "comment": comment}
        return EditResult.model_validate(await self._update(run_id, names.EDIT, Edit, given))

    async def post_kill(self, run_id: str, by: str, reason: str) -> None:
        """Leaves a kill with Temporal as a signal; the next worker that takes up the run obeys it.

        Raises:
            RunNotFoundError: there is no such run.
            RunClosedError: the run has already closed.
        """
        message = _message(Kill, {"by": by, "reason": reason})
        with in_our_words(self.temporal, run_id):
            await self._handle(run_id).signal(names.KILL, message, rpc_timeout=timedelta(seconds=self.patience))

    async def workers(self) -> int:
        """Counts the workers that polled the task queue for runs within about the last minute."""
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

    async def _send(self, run_id: str, name: str, model: type[Contract], **given: str | None) -> MessageState:
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
