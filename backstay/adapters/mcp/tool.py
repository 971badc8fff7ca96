"""Makes the tool of an MCP server a tool of an agent."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backstay.contracts.admission import ToolSpec
from backstay.contracts.call import Reconciled
from backstay.contracts.problems import Problem, summary
from backstay.errors import AskedError, ToolError
from backstay.kernel.mcp_result import answer_text
from backstay.tools import ToolCall

from .arguments import Checker
from .asking import Dialogue, ServerCall, asked_by
from .loop import ServerLoop
from .pool import Pool

KEY = "backstay/idempotency-key"
RUN = "backstay/run"
GRACE_SECONDS = 2.0
"""The time in which an answer still counts after the run, or its time limit, has cut a call off."""


@dataclass(frozen=True, slots=True)
class McpTool:
    """A tool of a server.

    Attributes:
        spec: the tool as the model, the runtime and rules see it.
        where: the file and line that name its server, for errors.
        secrets: the names of the secrets that its server is given.
        own_name: the server's own name of it.
        arguments: checks its arguments.
        output: checks its structured results; None where it promises none.
    """

    spec: ToolSpec
    where: str
    secrets: tuple[str, ...]
    own_name: str
    arguments: Checker
    output: Checker | None
    pool: Pool
    loop: ServerLoop

    @property
    def plain(self) -> bool:
        """True: its arguments are plain JSON values."""
        return True

    def typed(self, arguments: Mapping[str, Any]) -> dict[str, Any] | list[Problem]:
        """Returns arguments that fit the server's schema, or what does not."""
        return self.arguments.fitted(arguments)

    def held(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments as the server gets them; what it takes for granted nobody knows."""
        return dict(values)

    def identity(self, values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments, which have one spelling in JSON."""
        return dict(values)

    def facts(self, values: Mapping[str, Any], wanted: Callable[[str], bool]) -> dict[str, Any]:
        """Returns none: the tool of a server declares no facts."""
        return {}

    def exposure(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns nothing: the tool of a server adds to no meter."""
        return {}

    async def reconcile(self, call: ToolCall, values: Mapping[str, Any]) -> Reconciled:
        """Returns that nobody knows: the protocol has no question for it."""
        return Reconciled(answer="unknown")

    async def run(self, call: ToolCall, values: Mapping[str, Any]) -> str:
        """Calls the tool and returns what the model reads.

        Raises:
            AskedError: the server asks people before it goes on.
            ToolError: the server answered with an error, or refused the call.
            CallLostError: the call was sent, and not answered.
            UnreachedError: it was not sent.
            SchemaDriftError: the tool is not the admitted one any more; nothing was sent.
        """
        meta = {KEY: call.idempotency_key, RUN: call.run_id}
        key = {"tenant": call.tenant, "run": call.run_id, "worker": ""}[self.pool.server.scope]
        grace = 0.0 if self.spec.effect == "read" else GRACE_SECONDS
        dialogue = Dialogue(call.replies, begins_again=self.spec.effect != "once")
        sent = ServerCall(self.own_name, dict(values), meta, dialogue, call.take_server)
        answer = await self.loop.run(lambda: self.pool.call(sent, key, call.secret), grace)
        if (asked := asked_by(answer, dialogue, answered=self.spec.answered_by is not None)) is not None:
            raise AskedError(asked)
        # An answer may hold megabytes of base64.
        return await asyncio.to_thread(self._text, answer, dialogue.refused)

    def _text(self, answer: dict[str, Any], refused: str) -> str:
        if answer.get("isError") is True:
            raise ToolError(answer_text(answer, refused))
        misfit = self._misfit(answer.get("structuredContent"))
        return answer_text(answer, "\n".join(note for note in (refused, misfit) if note))

    def _misfit(self, structured: Any) -> str:
        """Returns a note where a structured result is not what the tool promises: it has happened all the same."""
        if self.output is None:
            return ""
        if structured is None:
            return "bad_result: the call was executed; its result lacks the structure that the tool promises"
        problems = self.output.problems(structured)
        if not problems:
            return ""
        return f"bad_result: the call was executed; its result is not what the tool promises ({summary(problems)})"
