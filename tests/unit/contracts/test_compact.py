"""One compaction on the wire."""

import pytest
from pydantic import ValidationError

from backstay.contracts.compact import CompactInput, CompactResult
from backstay.contracts.decision import Compaction, DecideInput
from backstay.kernel.price import Lost


def test_without_attempts_no_model_is_asked() -> None:
    given = CompactInput(number=1, run_key="k", step=3, previous="d", room=None)
    assert (given.attempts, given.pending) == (0, None)
    assert CompactInput.model_validate_json(given.model_dump_json()) == given


def test_a_result_says_what_attempts_may_have_cost() -> None:
    result = CompactResult(
        lost_attempts=2, compaction=Compaction(dropped=1, through=2, summary="s", labels=["untrusted"])
    )
    assert result.lost() == Lost(2)
    assert CompactResult.model_validate_json(result.model_dump_json()) == result


def test_a_size_is_never_negative() -> None:
    with pytest.raises(ValidationError):
        CompactResult(size=-1)


def test_a_decision_of_before_reads_as_one_without_a_compaction() -> None:
    given = DecideInput.model_validate({"step": 1, "run_key": "k", "max_output_tokens": 1, "attempts": 1})
    assert (given.compaction, given.shown) == (None, None)
