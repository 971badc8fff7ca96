"""Writes failures into histories: those that are raised on purpose without the stack of our code.

Who reads a refused input, or why a run failed, wants to know what is wrong and not where we noticed. An error that
nobody expected keeps its stack.
"""

from temporalio.api.failure.v1 import Failure
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
    FailureConverter,
    PayloadConverter,
)
from temporalio.exceptions import ApplicationError


class PlainFailureConverter(DefaultFailureConverter):
    """Leaves the stack out of application errors that are not retried."""

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        """Fills `failure` with what is told of the exception."""
        if isinstance(exception, ApplicationError) and exception.non_retryable:
            exception = exception.with_traceback(None)
        super().to_failure(exception, payload_converter, failure)


class EncodedFailureConverter(PlainFailureConverter):
    """Moves messages and stacks into a payload too, so that a codec encrypts them."""

    def __init__(self) -> None:
        super().__init__(encode_common_attributes=True)


_OURS: dict[type[FailureConverter], type[FailureConverter]] = {
    DefaultFailureConverter: PlainFailureConverter,
    DefaultFailureConverterWithEncodedAttributes: EncodedFailureConverter,
}


def failures_of(converter: DataConverter) -> type[FailureConverter]:
    """Returns the class that writes a worker's failures; an application's own class stays."""
    return _OURS.get(converter.failure_converter_class, converter.failure_converter_class)
