"""Old evidence may go, unless somebody holds it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from backstay.adapters.archive.manifest import Manifest
from backstay.adapters.archive.prune import Hold, expired
from backstay.errors import ConfigurationError
from backstay.kernel.audit import AuditHead

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OLD = Manifest(
    name="a",
    run_id="refund-A17",
    execution="e-1",
    agent="support",
    tenant="acme",
    at="2026-01-01T00:00:00.000Z",
    start=AuditHead(),
    head=AuditHead(),
    items=(0, 0),
    last=True,
    sealed=False,
    files={},
    claim=None,
)


def test_what_is_older_than_its_days_may_go() -> None:
    assert expired([OLD], 30, [], NOW) == [OLD]
    assert expired([OLD], 90, [], NOW) == []


def test_an_execution_stays_whole() -> None:
    young = replace(OLD, name="b", at="2026-02-28T00:00:00.000Z")
    other = replace(OLD, name="c", execution="e-2")
    assert expired([OLD, young, other], 30, [], NOW) == [other]


@pytest.mark.parametrize("hold", ["all", "run:refund-A17", "agent:support", "tenant:acme"])
def test_what_is_held_stays(hold: str) -> None:
    assert expired([OLD], 30, [Hold.read(hold)], NOW) == []


@pytest.mark.parametrize("hold", ["run:refund-A1", "agent:acme", "tenant:support"])
def test_a_hold_on_something_else_keeps_nothing(hold: str) -> None:
    assert expired([OLD], 30, [Hold.read(hold)], NOW) == [OLD]


@pytest.mark.parametrize("text", ["", "tenants:acme", "tenant:", "refund-A17", "all:x"])
def test_a_misspelt_hold_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Hold.read(text)
    assert refused.value.where == "`BACKSTAY_LEGAL_HOLD`"


def test_nothing_goes_beside_a_manifest_that_cannot_be_read() -> None:
    one, other = replace(OLD, name="r/e-1/a"), replace(OLD, name="r/e-2/a", execution="e-2")
    assert expired([one, other], 30, [], NOW, ["r/e-1/b"]) == [other]
