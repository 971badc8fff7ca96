"""Failures that are raised on purpose carry no stack, and all others do."""

import dataclasses

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter, DefaultFailureConverter
from temporalio.exceptions import ApplicationError

from backstay.adapters.payload.converter import for_worker
from backstay.adapters.payload.failures import EncodedFailureConverter, PlainFailureConverter, failures_of


def written(error: Exception) -> Failure:
    """The failure that a worker writes of an error that was raised."""
    failure, worker = Failure(), for_worker(DataConverter.default)
    try:
        raise error
    except Exception as raised:
        worker.failure_converter.to_failure(raised, worker.payload_converter, failure)
    return failure


def test_a_failure_on_purpose_has_no_stack() -> None:
    failure = written(ApplicationError("invalid input", type="InvalidInput", non_retryable=True))
    assert (failure.message, failure.stack_trace) == ("invalid input", "")
    assert failure.application_failure_info.type == "InvalidInput"


@pytest.mark.parametrize("error", [ValueError("oops"), ApplicationError("try again")])
def test_any_other_failure_keeps_its_stack(error: Exception) -> None:
    assert "in written" in written(error).stack_trace


class Own(DefaultFailureConverter):
    """A converter of an application."""


def test_encrypted_failures_stay_encrypted_and_an_applications_converter_stays() -> None:
    encoding = dataclasses.replace(DataConverter.default, failure_converter_class=EncodedFailureConverter)
    assert failures_of(DataConverter.default) is PlainFailureConverter
    assert failures_of(encoding) is EncodedFailureConverter
    assert failures_of(dataclasses.replace(DataConverter.default, failure_converter_class=Own)) is Own
    failure = Failure()
    error = ApplicationError("secret", non_retryable=True)
    encoding.failure_converter.to_failure(error, encoding.payload_converter, failure)
    assert failure.message == "Encoded failure"
