"""Names spans and their attributes: by the OpenTelemetry GenAI conventions, and Backstay's own beside them.

Source of the `gen_ai` names: OpenTelemetry semantic conventions for generative AI, as of release 1.41.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from backstay.contracts.delegate import recorded_start
from backstay.contracts.run import RunRequest

Value = str | int | Sequence[str]

CHAT: Final = "chat"
EXECUTE_TOOL: Final = "execute_tool"
INVOKE_AGENT: Final = "invoke_agent"
START_RUN: Final = "start_run"
CLOSE_RUN: Final = "close_run"
STEP: Final = "step"
AUTHORIZE: Final = "authorize"
RECONCILE: Final = "reconcile"

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
AGENT_NAME: Final = "gen_ai.agent.name"
AGENT_VERSION: Final = "gen_ai.agent.version"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"

RUN_ID: Final = "backstay.run.id"
TENANT: Final = "backstay.tenant"
STEP_NUMBER: Final = "backstay.step"
ATTEMPT: Final = "backstay.attempt"
USD: Final = "backstay.usd"
VERDICT: Final = "backstay.verdict.outcome"
VERDICT_CODE: Final = "backstay.verdict.code"
VERDICT_RULES: Final = "backstay.verdict.rules"
CALL_STATUS: Final = "backstay.call.status"
ANSWER: Final = "backstay.reconcile.answer"
STATUS: Final = "backstay.status"
STOP_REASON: Final = "backstay.stop_reason"
STEPS: Final = "backstay.steps"
SECONDS: Final = "backstay.seconds"
TOOL_CALLS: Final = "backstay.tool_calls"
# Totals of the run. Under the `gen_ai` names a sum over a trace would count each token twice.
TOTAL_INPUT_TOKENS: Final = "backstay.input_tokens"
TOTAL_OUTPUT_TOKENS: Final = "backstay.output_tokens"
METADATA: Final = "backstay.metadata."

METADATA_CHARACTERS: Final = 256


@dataclass(frozen=True, slots=True)
class Whose:
    """Names the run and the step that a span or a log line belongs to; None where unknown."""

    run_id: str
    agent: str | None = None
    tenant: str | None = None
    step: int | None = None

    def attributes(self) -> dict[str, Value]:
        """Returns the attributes that every span of a run carries."""
        known = {
            CONVERSATION_ID: self.run_id,
            RUN_ID: self.run_id,
            AGENT_NAME: self.agent,
            TENANT: self.tenant,
            STEP_NUMBER: self.step,
        }
        return {name: value for name, value in known.items() if value is not None}


WHOSE: ContextVar[Whose | None] = ContextVar("backstay_whose", default=None)
"""The run that the current code works for; log lines are tagged with it."""


def whose_run(run_id: str, request: RunRequest | None) -> Whose:
    """Names a run by its id and its request.

    Args:
        run_id: the run's id.
        request: the request, or None for one that does not fit the contract; its values are then left out.
    """
    return Whose(run_id, request.agent, request.tenant) if request else Whose(run_id)


def read_request(args: Sequence[Any]) -> RunRequest | None:
    """Reads the request from the arguments of a start; None if it does not fit the contract."""
    request = recorded_start(args[0]) if len(args) == 1 else None
    return request if isinstance(request, RunRequest) else None


def metadata(request: RunRequest | None) -> dict[str, Value]:
    """Returns the metadata of a request as attributes, each value cut to 256 characters."""
    given = request.unsigned().metadata if request else {}
    return {METADATA + name: value[:METADATA_CHARACTERS] for name, value in given.items()}


def span_name(operation: str, target: str | None) -> str:
    """Returns a name by the conventions: the operation, then its target where there is one."""
    return f"{operation} {target}" if target else operation
