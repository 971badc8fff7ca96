"""Reads how a closed run ended, from the last event of its history: no worker is asked."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.client import Client, WorkflowFailureError

from backstay.adapters.engine.errors import in_our_words, result_of_failure
from backstay.adapters.engine.executions import Execution
from backstay.contracts.problems import summary
from backstay.contracts.run import RunResult
from backstay.errors import InvalidInputError, NoResultError

REFUSED = "invalid_input"
ENGINE_REASONS = (REFUSED, "canceled", "terminated", "timed_out", "failed")
"""Reasons why a run ended without a result, beside the stop reasons of runs with one."""

_PATIENCE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a closed run.

    Attributes:
        state: `completed`, `stopped` or `failed` as the result says; for a run without a result the engine's own word,
            such as `terminated`.
        reason: the stop reason, else one of `ENGINE_REASONS`.
        detail: more about the reason, such as what somebody who terminated the run gave as theirs.
        result: None where the run has none.
    """

    state: str
    reason: str
    detail: str | None
    result: RunResult | None = None

    @property
    def words(self) -> str:
        """Says the end in a few words."""
        return self.state if self.reason == self.state else f"{self.state}, {self.reason}"


async def ending_of(client: Client, closed: Execution) -> Ending:
    """Returns how a run ended.

    Raises:
        CodecError: its result is encrypted with a key that is not here.
        RunNotFoundError: the engine has just forgotten it.
        UnreachableError: Temporal does not answer.
    """
    try:
        result = await _result(client, closed)
    except InvalidInputError as error:
        return Ending(closed.state, REFUSED, summary(error.problems))
    except NoResultError as error:
        return Ending(closed.state, error.how, error.detail)
    return Ending(result.status, result.stop_reason, result.stop_detail, result)


async def _result(client: Client, closed: Execution) -> RunResult:
    run_id = closed.workflow_id
    handle: Any = client.get_workflow_handle(run_id, run_id=closed.run_id)
    with in_our_words(client, run_id):
        try:
            return RunResult.model_validate(await handle.result(follow_runs=False, rpc_timeout=_PATIENCE))
        except WorkflowFailureError as error:
            return result_of_failure(run_id, error)
        except ValidationError as error:
            raise NoResultError(run_id, closed.state, "its value is not a run's result") from error
