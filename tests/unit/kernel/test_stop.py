"""The stop reasons: their order, and how a run that stops for each of them ended."""

import pytest

from backstay.kernel.stop import RunStatus, Stop, StopReason


@pytest.mark.parametrize("reason", StopReason)
def test_a_run_fails_only_where_no_model_answers_and_completes_only_with_an_answer(reason: StopReason) -> None:
    expected = {
        StopReason.COMPLETED: RunStatus.COMPLETED,
        StopReason.MODEL_UNAVAILABLE: RunStatus.FAILED,
    }.get(reason, RunStatus.STOPPED)
    assert Stop(reason).status is expected


def test_the_type_of_a_failure_is_the_reason_in_camel_case() -> None:
    assert Stop(StopReason.MODEL_UNAVAILABLE).error_type == "ModelUnavailable"


def test_the_order_of_the_reasons_is_fixed() -> None:
    assert [reason.value for reason in StopReason] == [
        "killed",
        "incident_stop",
        "outcome_unknown",
        "policy_denied",
        "approval_denied",
        "approval_expired",
        "budget_exhausted",
        "deadline_exceeded",
        "no_progress",
        "malformed_calls",
        "tool_failures",
        "model_unavailable",
        "completed",
    ]
