"""What stands in the archive alone is counted, and nobody says how it would be decided."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backstay.adapters.archive.store import archive_of
from backstay.checks import forgotten as module
from backstay.checks.forgotten import WHY, forgotten
from backstay.contracts.archive import ArchiveInput, Segment
from backstay.contracts.history import RunRef
from backstay.kernel.audit import AuditHead
from backstay.kernel.verdict import Outcome
from backstay.settings import Settings

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
REF = RunRef("run-1", "execution-1")
VERDICT = {"outcome": "deny", "code": "forbidden", "digest": "d", "policy_version": "v", "rules": ["cap"]}
RECORDS: list[dict[str, Any]] = [
    {"seq": 1, "event": "admitted", "facts": {}},
    {"seq": 2, "event": "call_judged", "facts": {"call_id": "3-0", "tool": "pay", "verdict": VERDICT}},
    {"seq": 3, "event": "call_judged", "facts": {"call_id": "3-0", "tool": "pay", "verdict": VERDICT}},
]
CLIENT = cast("Client", object())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(archive=str(tmp_path / "archive"))


async def kept(settings: Settings, there: bool, monkeypatch: pytest.MonkeyPatch, **asked: Any) -> list[Any]:
    """Keeps a run, and asks what Temporal has forgotten."""
    archive = archive_of(settings)
    assert archive is not None
    given = ArchiveInput(start=AuditHead(), head=AuditHead(3, "h"), items_start=0, items=0, last=True)
    await archive.keep(Segment(REF, "clerk", "default", NOW.isoformat(), given, RECORDS, []))

    async def described(client: Client, workflow_id: str, run_id: str) -> None:
        assert (workflow_id, run_id) == ("run-1", "execution-1")
        if not there:
            raise RPCError("gone", RPCStatusCode.NOT_FOUND, b"")

    monkeypatch.setattr(module, "described", described)
    wanted: dict[str, Any] = {"known": (), "since": NOW - timedelta(days=7), "agent": None, **asked}
    return await forgotten(CLIENT, archive, **wanted)


async def test_calls_of_a_forgotten_run_are_unknown(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    [one] = await kept(settings, False, monkeypatch)
    assert (one.run_id, one.step, one.call_id, one.tool) == ("run-1", 3, "3-0", "pay")
    assert (one.was.outcome, one.now, one.why) == (Outcome.DENY, None, WHY)
    assert len(await kept(settings, False, monkeypatch, agent="clerk")) == 1


@pytest.mark.parametrize("asked", [{"known": {REF}}, {"agent": "another"}, {"since": NOW + timedelta(seconds=1)}])
async def test_what_is_known_or_not_wanted_is_left_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    assert await kept(settings, False, monkeypatch, **asked) == []


async def test_what_temporal_still_has_is_not_forgotten(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await kept(settings, True, monkeypatch) == []
