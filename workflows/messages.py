"""Reads and refuses messages and starts, for all workflows."""

from typing import Any

from temporalio.exceptions import ApplicationError

from backstay.contracts.messages import M, read_message
from backstay.contracts.names import INVALID_INPUT
from backstay.contracts.problems import Problem, plain_problems, summary


def invalid_input(problems: list[Problem]) -> ApplicationError:
    """Returns the error of a start that cannot be admitted: names the fields, lists every problem in its details."""
    return ApplicationError(
        f"invalid input: {summary(problems)}", plain_problems(problems), type=INVALID_INPUT, non_retryable=True
    )


def fitting(model: type[M], args: tuple[Any, ...]) -> M:
    """Reads a message.

    Raises:
        ApplicationError: of type `InvalidMessage`; names what does not fit, without its values.
    """
    message = read_message(model, args)
    if isinstance(message, list):
        raise ApplicationError(f"invalid message: {summary(message)}", type="InvalidMessage", non_retryable=True)
    return message
