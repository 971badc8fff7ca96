"""Reads and refuses messages and starts, for all workflows."""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from backstay.contracts.messages import read_message
from backstay.contracts.names import INVALID_INPUT
from backstay.contracts.problems import C, Problem, plain_problems, summary
from backstay.kernel.keys import is_kept_id


def invalid_input(problems: list[Problem]) -> ApplicationError:
    """Returns the error of a start that cannot be admitted: names the fields, lists every problem in its details."""
    return ApplicationError(
        f"invalid input: {summary(problems)}", plain_problems(problems), type=INVALID_INPUT, non_retryable=True
    )


def repetitions() -> list[Problem]:
    """Lists how the engine was asked to repeat this workflow: each would share one budget and its idempotency keys."""
    info = workflow.info()
    found: list[Problem] = []
    if info.cron_schedule:
        problem = "not supported, because every firing would have the same keys: use a Temporal Schedule"
        found.append(Problem(field="cron_schedule", problem=problem))
    if info.attempt > 1:
        problem = "not supported, because each attempt would spend the budget again: start another run, by another id"
        found.append(Problem(field="retry_policy", problem=problem))
    return found


def started_by() -> str | None:
    """Returns the workflow that the engine names as the one which has started this one; None where it names none."""
    parent = workflow.info().parent
    return parent.workflow_id if parent else None


def occupied() -> list[Problem]:
    """Lists what is wrong with the run's own id: under that of a ledger, whoever needs the ledger would not find it."""
    if is_kept_id(workflow.info().workflow_id):
        return [Problem(field="workflow_id", problem="kept for the runtime itself: start the run by another id")]
    return []


def fitting(model: type[C], args: tuple[Any, ...]) -> C:
    """Reads a message.

    Raises:
        ApplicationError: of type `InvalidMessage`; names what does not fit, without its values.
    """
    message = read_message(model, args)
    if isinstance(message, list):
        raise ApplicationError(f"invalid message: {summary(message)}", type="InvalidMessage", non_retryable=True)
    return message
