"""Starts runs, reads them and sends them messages, for applications.

Any Temporal client can do the same with the names in `backstay.contracts.names`; this one adds types.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import Priority, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from backstay.adapters.engine.asking import queried
from backstay.adapters.engine.errors import in_our_words, result_of_failure, takes_no_update
from backstay.adapters.engine.executions import described
from backstay.adapters.engine.links import pages
from backstay.client.connection import connect
from backstay.client.earlier import joined
from backstay.client.moved import delivered
from backstay.client.overview import Overview, overview_of
from backstay.client.run import Run
from backstay.client.signing import Signer, proven, proven_start
from backstay.contracts import names
from backstay.contracts.approval import EditResult, GrantedVoteResult, VoteResult
from backstay.contracts.history import RunRef
from backstay.contracts.messages import (
    Answer,
    Approve,
    Edit,
    Grant,
    GrantResult,
    Hold,
    Kill,
    MessageState,
    Say,
    SayResult,
    Vote,
)
from backstay.contracts.problems import Contract, problems_of
from backstay.contracts.run import RunRequest, RunResult, plain
from backstay.contracts.status import Page, PageRequest, RunStatusView, TranscriptItem
from backstay.errors import (
    CrowdedError,
    InvalidInputError,
    NoResultError,
    NoWorkerError,
    PausedByEngineError,
    RunNotFoundError,
)
from backstay.kernel.keys import fairness_key
from backstay.kernel.markdown import inert
from backstay.settings import load_settings

SUMMARY = 100
_PAUSED_SECONDS = 1.0
_LOOK_SECONDS = 0.5
_POLL_SECONDS = 70  # Temporal records the start of a worker's poll, and a poll lasts a minute


class BackstayClient:
    """A client that starts runs and speaks to them, over any Temporal client with a data converter for JSON.

    Every method raises `UnreachableError` where no server answers, and `ConfigurationError` where the server refuses
    the credentials or lacks the namespace.

    `by`, `requested_by` and `tenant` are claims: the server takes any name from whoever may write to the namespace.
    They count as proven once a worker verified a `proof`; docs/proofs.md says how.

    Attributes:
        temporal: the Temporal client underneath.
        task_queue: the task queue where runs start.
        patience: the seconds that a worker has to answer.
        signer: proves messages to runs that verify proofs; None sends them as claims.
    """

    def __init__(self, client: Client, task_queue: str = names.TASK_QUEUE, *, patience: float = 10.0) -> None:
        self.temporal = client
        self.task_queue = task_queue
        self.patience = patience
        self.signer: Signer | None = None

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

    async def start(self, request: RunRequest, run_id: str | None = None, *, sign: bool = False) -> Run:
        """Starts a run, or returns the open run of the same id and input.

        Args:
            request: the goal, the agent and what else the run is given; who asks and for whom are claims.
            run_id: makes the start safe to repeat; a new id unless given.
            sign: proves the claims by the `signer`; a worker that can verify no proof refuses such a start.

        Raises:
            RunExistsError: that run has already closed.
            RunConflictError: the id belongs to a run with another input, or to another workflow.
        """
        run_id = run_id or f"{request.agent}-{uuid.uuid4().hex[:12]}"
        goal = " ".join(request.goal.split())
        if sign and self.signer is not None:
            request = proven_start(self.signer, self.temporal.namespace, run_id, request)
        with in_our_words(self.temporal, run_id):
            try:
                await self.temporal.start_workflow(
                    names.AGENT_RUN,
                    plain(request),
                    id=run_id,
                    task_queue=self.task_queue,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    priority=Priority(fairness_key=fairness_key(request.tenant)),
                    static_summary=inert(goal if len(goal) <= SUMMARY else goal[: SUMMARY - 1] + "…"),
                )
            except WorkflowAlreadyStartedError:
                await joined(self.temporal, run_id, request)
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
            execution = await described(self.temporal, run_id, timeout=timedelta(seconds=self.patience))
            if execution.workflow_type != names.AGENT_RUN:
                raise RunNotFoundError(run_id, self.temporal.namespace)
            return await overview_of(execution)

    async def result(self, run_id: str) -> RunResult:
        """Waits until a run ends, and returns its result: completed, stopped or failed.

        A run that the engine has paused is waited for.

        Raises:
            RunNotFoundError: there is no such run.
            InvalidInputError: the run was not admitted.
            NoResultError: the run was cancelled or terminated, timed out, or is not an agent's run.
        """
        with in_our_words(self.temporal, run_id):
            try:
                return RunResult.model_validate(await self._ended(run_id))
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

        `by` is a claim, and a run that requires proofs records `unknown` in its place.

        Raises:
            RunNotFoundError: there is no such run.
            RunClosedError: the run has already closed.
            RefusedError: the run refused the message; the text says why.
            CrowdedError: the run takes no more updates; `post` sends a signal instead.
            NoWorkerError: no worker answered, and the message is lost; `post_kill` leaves it with Temporal instead.
        """
        return await self._send(run_id, names.KILL, Kill, by=by, reason=reason)

    async def pause(self, run_id: str, by: str, reason: str | None = None) -> MessageState:
        """Stops a run from making new decisions and calls; running ones finish. Raises as `kill` does.

        `by` is a claim, unless the client has a `signer` and the run verifies proofs.
        """
        return await self._send(run_id, names.PAUSE, Hold, by=by, reason=reason)

    async def resume(self, run_id: str, by: str, reason: str | None = None) -> MessageState:
        """Lets a paused run continue. Raises as `kill` does."""
        return await self._send(run_id, names.RESUME, Hold, by=by, reason=reason)

    async def grant(self, run_id: str, by: str, reason: str, budget: Mapping[str, Any]) -> GrantResult:
        """Adds to limits of a running run, such as `{"usd": "0.50"}`; returns those in force. Raises as `kill` does.

        `by` is a claim, unless the client has a `signer` and the run verifies proofs.
        """
        given = {"by": by, "reason": reason, "budget": budget}
        return GrantResult.model_validate(await self._update(run_id, names.GRANT, Grant, given))

    async def say(self, run_id: str, by: str, text: str | None = None, *, close: bool = False) -> SayResult:
        """Says more to a run that is kept open; returns when the run has taken the words, before it answers them.

        `by` is a claim, unless the client has a `signer` and the run verifies proofs. Raises as `kill` does.

        Args:
            run_id: the run.
            by: who asked for the run, or a member of its agent's group of speakers.
            text: the words; None only to close the conversation.
            close: takes no more words: the run ends with its answer.
        """
        return SayResult.model_validate(
            await self._update(run_id, names.SAY, Say, {"by": by, "text": text, "close": close})
        )

    async def answered(self, run_id: str) -> str | None:
        """Waits until a run that is kept open has answered all that was said; None where it ends without an answer.

        Raises:
            RunNotFoundError: there is no such run.
            NoWorkerError: no worker answered.
        """
        while True:
            status = await self.status(run_id)
            conversation = status.conversation
            if conversation is not None and conversation.open_until is not None and not conversation.unread:
                return conversation.answer
            if status.state == "closed":
                return None
            await asyncio.sleep(_LOOK_SECONDS)

    async def approve(
        self,
        run_id: str,
        approval_id: str,
        by: str,
        comment: str | None = None,
        proof: str | None = None,
        grant: Mapping[str, Any] | None = None,
    ) -> VoteResult:
        """Approves one waiting call; the answer `open` means that more people must approve. Raises as `kill` does.

        `by` is a claim until the run verified a `proof`: that given, else the `signer`'s. A proof that nothing verifies
        is refused. The same holds for `deny`, `answer` and `edit`. A `grant` such as `{"uses": 20, "until": "8h"}` lets
        further calls like it through; the answer is then a `GrantedVoteResult`.
        """
        given = {"approval_id": approval_id, "by": by, "comment": comment, "proof": proof, "grant": grant}
        answer = await self._update(run_id, names.APPROVE, Approve, given)
        return (GrantedVoteResult if grant else VoteResult).model_validate(answer)

    async def deny(
        self, run_id: str, approval_id: str, by: str, comment: str | None = None, proof: str | None = None
    ) -> VoteResult:
        """Denies one waiting call; the model reads the comment. Raises as `kill` does."""
        given = {"approval_id": approval_id, "by": by, "comment": comment, "proof": proof}
        return VoteResult.model_validate(await self._update(run_id, names.DENY, Vote, given))

    async def answer(self, run_id: str, approval_id: str, by: str, answer: str, result: Any = None) -> VoteResult:
        """Answers a question, or tells whether a call with an unknown outcome has happened. Raises as `kill` does.

        Args:
            run_id: the run.
            approval_id: the question to answer.
            by: the person who answers.
            answer: `happened`, `not_happened` or `stop`; to a question the words.
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
        await self.post(run_id, names.KILL, plain(_message(Kill, {"by": by, "reason": reason})))

    async def post(self, run_id: str, name: str, message: Mapping[str, Any]) -> None:
        """Leaves a message with Temporal as a signal: nobody says whether the run took it. Raises as `post_kill` does.

        Args:
            run_id: the run.
            name: the message's name.
            message: its payload; a `CrowdedError` has both.
        """
        timeout = timedelta(seconds=self.patience)
        with in_our_words(self.temporal, run_id):
            await delivered(
                self.temporal, run_id, lambda: self._handle(run_id).signal(name, message, rpc_timeout=timeout)
            )

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

    def _handle(self, run_id: str, link: str = "") -> WorkflowHandle[Any, Any]:
        return self.temporal.get_workflow_handle(run_id, run_id=link or None)

    async def _ended(self, run_id: str) -> Any:
        handle = self._handle(run_id)
        while True:
            try:
                return await handle.result()
            except RuntimeError:  # the server ends the wait for a paused run without an event
                if not (await described(self.temporal, run_id)).held_back:
                    raise
            await asyncio.sleep(_PAUSED_SECONDS)

    async def _query(self, run_id: str, name: str, *given: Any, link: str = "") -> Any:
        timeout = timedelta(seconds=self.patience)
        async with self._answering(run_id):
            return await queried(self._handle(run_id, link), name, given, timeout)

    @contextlib.asynccontextmanager
    async def _answering(self, run_id: str) -> AsyncGenerator[None]:
        """Turns Temporal's errors into our own, and names a pause by the engine where it is why no worker answers."""
        try:
            with in_our_words(self.temporal, run_id):
                yield
        except (NoWorkerError, WorkflowQueryRejectedError, ValueError) as error:
            # The server rejects a query of a paused run, and the SDK raises a ValueError on that status.
            with in_our_words(self.temporal, run_id):
                execution = await described(self.temporal, run_id)
                if execution.held_back:
                    raise PausedByEngineError(run_id, execution.state) from error
            raise

    async def _items(self, run_id: str, name: str, after: int) -> AsyncGenerator[dict[str, Any]]:
        async def ask(link: RunRef, at: int) -> Page:
            given = plain(PageRequest(after=at))
            return Page.model_validate(await self._query(run_id, name, given, link=link.run_id))

        with in_our_words(self.temporal, run_id):
            async with contextlib.aclosing(pages(self.temporal, RunRef(run_id, ""), ask, after)) as read:
                async for page in read:
                    for item in page.items:
                        yield item

    async def _send(self, run_id: str, name: str, model: type[Contract], **given: str | None) -> MessageState:
        return MessageState.model_validate(await self._update(run_id, name, model, given))

    async def _signed(self, run_id: str, name: str, message: Contract) -> Contract:
        """Returns a message with its proof, where this client can make one and the run can verify it."""
        if self.signer is None or not isinstance(message, Vote | Hold | Grant | Say) or message.proof is not None:
            return message
        if (await self.status(run_id)).proofs == "unverifiable":
            return message
        return message.model_copy(update={"proof": proven(self.signer, self.temporal.namespace, run_id, name, message)})

    async def _update(self, run_id: str, name: str, model: type[Contract], given: Mapping[str, Any]) -> Any:
        message = plain(await self._signed(run_id, name, _message(model, given)))
        timeout = timedelta(seconds=self.patience)

        async def send() -> Any:
            return await self._handle(run_id).execute_update(name, message, rpc_timeout=timeout)  # pyright: ignore[reportUnknownMemberType]

        async with self._answering(run_id):
            try:
                async with asyncio.timeout(self.patience + 1):
                    return await delivered(self.temporal, run_id, send)
            except TimeoutError:
                raise NoWorkerError(run_id) from None
            except (RPCError, WorkflowUpdateFailedError) as error:
                if takes_no_update(error):
                    raise CrowdedError(run_id, name, message) from error
                raise


def _message(model: type[Contract], given: Mapping[str, Any]) -> Contract:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise InvalidInputError(problems_of(error, model)) from None
