"""Reads and refuses messages and starts, for all workflows."""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from backstay.contracts.messages import M, read_message
from backstay.contracts.names import INVALID_INPUT
from backstay.contracts.problems import Problem, plain_problems, summary


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


def fitting(model: type[M], args: tuple[Any, ...]) -> M:
    """Reads a message.

    Raises:
        ApplicationError: of type `InvalidMessage`; names what does not fit, without its values.
    """
    message = read_message(model, args)
    if isinstance(message, list):
        raise ApplicationError(f"invalid message: {summary(message)}", type="InvalidMessage", non_retryable=True)
    return message
