"""Reads an order to the control plane from what was typed."""

from typing import TypeVar

from pydantic import ValidationError

from backstay.contracts.control import Order
from backstay.contracts.problems import problems_of
from backstay.errors import ConfigurationError

from .connected import person

Ordered = TypeVar("Ordered", bound=Order)


def order(model: type[Ordered], by: str | None, reason: str, **fields: object) -> Ordered:
    """Returns the order that the options of a command give.

    Args:
        model: the kind of order.
        by: who gives it, as typed.
        reason: why.
        fields: the other fields, each named as its option.

    Raises:
        ConfigurationError: an option does not fit.
    """
    if not reason.strip():
        raise ConfigurationError("an order needs a reason", mend="write it as `--reason WHY`")
    try:
        return model.model_validate({"by": person(by), "reason": reason, **fields})
    except ValidationError as error:
        problem = problems_of(error)[0]
        raise ConfigurationError(problem.problem, where=f"`--{problem.field.replace('_', '-')}`") from None
