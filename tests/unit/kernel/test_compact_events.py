"""The facts of compacting, as they stand in the audit."""

from backstay.kernel.budget import Amount
from backstay.kernel.compact_events import Compacted, CompactionHeld, CompactionSettled


def test_each_fact_has_a_name_in_the_audit() -> None:
    events = (CompactionHeld, CompactionSettled, Compacted)
    assert [event.name() for event in events] == ["compaction_held", "compaction_settled", "compacted"]


def test_the_audit_says_what_was_compacted_and_where() -> None:
    facts = Compacted(2, "summarised", 2, 41, "abc", "def", 9_000, 3_000).facts()
    assert facts == {
        "number": 2,
        "how": "summarised",
        "first_item": 2,
        "last_item": 41,
        "replaced": "abc",
        "summary": "def",
        "tokens_before": 9_000,
        "context_tokens": 3_000,
    }


def test_a_bill_names_the_model_where_it_is_another() -> None:
    facts = CompactionSettled(1, Amount(usd=5), 0, 0, "nano", "nano-2026").facts()
    assert (facts["asked"], facts["model"], facts["amount"]["usd"]) == ("nano", "nano-2026", 5)
