"""Speaks to one run: the methods of `BackstayClient` with the run's id filled in."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstay.client.overview import Overview
from backstay.contracts.approval import EditResult, VoteResult
from backstay.contracts.messages import GrantResult, MessageState, SayResult
from backstay.contracts.run import RunResult
from backstay.contracts.status import RunStatusView, TranscriptItem

if TYPE_CHECKING:
    from backstay.client.client import BackstayClient


@dataclass(frozen=True, slots=True)
class Run:
    """A handle of one run; each method raises the errors of the client's method of the same name."""

    run_id: str
    client: "BackstayClient"

    async def status(self) -> RunStatusView:
        """Asks for the run's status."""
        return await self.client.status(self.run_id)

    async def describe(self) -> Overview:
        """Reads what Temporal knows about the run, without asking a worker."""
        return await self.client.describe(self.run_id)

    async def result(self) -> RunResult:
        """Waits until the run ends, and returns its result."""
        return await self.client.result(self.run_id)

    def transcript(self, after: int = 0) -> AsyncGenerator[TranscriptItem]:
        """Yields the conversation so far, beginning behind item number `after`."""
        return self.client.transcript(self.run_id, after)

    def audit(self, after: int = 0) -> AsyncGenerator[dict[str, Any]]:
        """Yields the audit records so far, beginning behind record number `after`."""
        return self.client.audit(self.run_id, after)

    async def kill(self, by: str, reason: str) -> MessageState:
        """Ends the run."""
        return await self.client.kill(self.run_id, by, reason)

    async def pause(self, by: str, reason: str | None = None) -> MessageState:
        """Stops the run from making new decisions and calls until `resume`."""
        return await self.client.pause(self.run_id, by, reason)

    async def resume(self, by: str, reason: str | None = None) -> MessageState:
        """Lets the paused run continue."""
        return await self.client.resume(self.run_id, by, reason)

    async def grant(self, by: str, reason: str, budget: Mapping[str, Any]) -> GrantResult:
        """Adds to the run's limits."""
        return await self.client.grant(self.run_id, by, reason, budget)

    async def say(self, by: str, text: str | None = None, *, close: bool = False) -> SayResult:
        """Says more to the run, which its agent keeps open, or closes the conversation."""
        return await self.client.say(self.run_id, by, text, close=close)

    async def answered(self) -> str | None:
        """Waits until the run has answered all that was said; None where it ends without an answer."""
        return await self.client.answered(self.run_id)

    async def approve(
        self, approval_id: str, by: str, comment: str | None = None, grant: Mapping[str, Any] | None = None
    ) -> VoteResult:
        """Approves one waiting call; a `grant` lets further calls like it through."""
        return await self.client.approve(self.run_id, approval_id, by, comment, grant=grant)

    async def deny(self, approval_id: str, by: str, comment: str | None = None) -> VoteResult:
        """Denies one waiting call."""
        return await self.client.deny(self.run_id, approval_id, by, comment)

    async def answer(self, approval_id: str, by: str, answer: str, result: Any = None) -> VoteResult:
        """Answers a question, or tells the run whether a call with an unknown outcome has happened."""
        return await self.client.answer(self.run_id, approval_id, by, answer, result)

    async def edit(self, approval_id: str, by: str, args: dict[str, Any], comment: str | None = None) -> EditResult:
        """Replaces the arguments of a waiting call."""
        return await self.client.edit(self.run_id, approval_id, by, args, comment)
