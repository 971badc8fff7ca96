"""The workflow of a tenant's grants by itself: it continues as new, refuses what is not for it, and may be silent."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import Client, WorkflowHandle

from backstay.adapters.engine import entities
from backstay.adapters.engine import grants as engine
from backstay.adapters.engine.grants import Grants
from backstay.app import folders
from backstay.client.standing import revoke_grant, standing_grants
from backstay.contracts import names
from backstay.contracts.run import plain
from backstay.contracts.standing import GrantView, Returning, Revoking, UseResult
from backstay.errors import NoWorkerError
from backstay.kernel.approval import Refusal
from backstay.kernel.grantable import RuleText
from backstay.kernel.keys import grants_id
from backstay.kernel.standing import GrantState, StandingGrant, Use, Wanted

from .entity import PATIENCE, refused_start, served

if TYPE_CHECKING:
    from tests.workflow.conftest import Refused

RULE = RuleText("large", "sha256:1")


class Kept:
    """The grants of one tenant."""

    def __init__(self, client: Client) -> None:
        self.client, self.tenant = client, f"tenant-{uuid.uuid4()}"
        self.asking = Grants(client)
        self.link = ""

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(grants_id(self.tenant))

    async def give(self, uses: int = 20, seconds: float = 3600, name: str = "grt_1") -> Refusal | None:
        now_ms = time.time_ns() // 1_000_000
        until_ms = now_ms + int(seconds * 1000)
        grant = StandingGrant(name, "pay", "clerk", (RULE,), "ann", "run", "apr", now_ms, until_ms, uses)
        return await self.asking.give(self.tenant, grant)

    async def use(self, number: int) -> UseResult:
        return await self.asking.use(self.tenant, Wanted(f"key/use-{number}", "pay", "clerk", (RULE,)))

    async def drawn(self, number: int) -> Use | None:
        return (await self.use(number)).use

    async def next_link(self) -> None:
        """Waits until the grants have continued as new."""
        before = self.link = (
            self.link or (await self.handle.describe()).raw_description.workflow_execution_info.first_run_id
        )
        async with asyncio.timeout(PATIENCE):
            while self.link == before:
                await asyncio.sleep(0.05)
                self.link = (await self.handle.describe()).run_id

    async def left(self) -> int:
        [grant] = await standing_grants(self.client, self.tenant)
        return grant.uses_left


@contextlib.asynccontextmanager
async def kept(client: Client, **changed: Any) -> AsyncGenerator[Kept]:
    """Keeps the grants of one tenant, with these constants of their module changed."""
    async with served(client, folders.tenant_grants.TenantGrants, **changed):
        one = Kept(client)
        yield one
        await one.handle.terminate()


async def test_nothing_is_lost_or_doubled_while_the_grants_continue_as_new(client: Client) -> None:
    async with kept(client, MESSAGES_PER_LINK=5, PUBLISH_EVERY=timedelta(milliseconds=10)) as one:
        assert await one.give(uses=12) is None
        for number in range(12):
            first, again = await one.drawn(number), await one.drawn(number)
            assert first is not None
            assert again is not None
            assert again.number == first.number == number + 1
            if number % 4 == 3:
                await one.next_link()
        assert await one.drawn(12) is None
        await one.handle.signal(names.RETURNED, plain(Returning(uses=["key/use-3", "key/use-99"])))
        await one.handle.signal(names.RETURNED, {"uses": 3})
        assert await one.drawn(12) is not None
        await one.handle.signal(names.REVOKED, plain(Revoking(grant_id="grt_1", by="ops", reason="enough")))
        await one.handle.signal(names.REVOKED, None)
        assert await one.drawn(0) is None
        [grant] = await standing_grants(client, one.tenant)
        assert grant.state is GrantState.REVOKED


async def test_too_many_uses_for_one_tenant_are_refused_with_words(client: Client) -> None:
    async with kept(client) as one:
        assert await one.give(uses=9_999) is None
        refusal = await one.give(uses=2, name="grt_2")
        assert refusal is not None
        assert refusal.code == "TooManyGrants"


async def test_a_grant_that_ended_is_listed_as_expired_and_one_is_revoked_once(client: Client) -> None:
    async with kept(client) as one:
        await one.give(seconds=0.5)
        await one.give(name="grt_2")
        await asyncio.sleep(0.5)
        short, long = await standing_grants(client, one.tenant)
        assert (short.state, long.state) == (GrantState.EXPIRED, GrantState.LIVE)
        first = await revoke_grant(client, long, "ops", "enough")
        assert await revoke_grant(client, long, "eve", "again") == first
        assert first.state is GrantState.REVOKED
        assert await one.drawn(1) is None


async def test_grants_that_are_gone_or_silent_let_nothing_through(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "ANSWER", timedelta(seconds=0.5))
    monkeypatch.setattr(entities, "ANSWER", timedelta(seconds=0.5))
    async with kept(client) as one:
        assert (await one.use(1), await standing_grants(client, one.tenant)) == (UseResult(), [])
        await one.give()
    assert (await one.use(1), await standing_grants(client, one.tenant)) == (UseResult(), [])
    monkeypatch.setattr(names, "CONTROL_QUEUE", f"nobody-{uuid.uuid4()}")
    refusal = await one.give()
    assert refusal is not None
    assert (refusal.code, "answer without `grant`" in refusal.text) == ("GrantsUnanswered", True)
    assert (await one.use(1)).trouble == f"the standing grants of tenant {one.tenant} do not answer"
    await one.handle.terminate()


async def test_a_revocation_that_nobody_takes_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backstay.client.standing._PATIENCE", timedelta(seconds=0.5))
    one = Kept(client)
    given = {"tenant": one.tenant}
    handle = await client.start_workflow(
        names.TENANT_GRANTS, given, id=grants_id(one.tenant), task_queue=f"nobody-{uuid.uuid4()}"
    )
    grant = StandingGrant("grt_1", "pay", "clerk", (RULE,), "ann", "run", "apr", 0, 1, 1)
    with pytest.raises(NoWorkerError):
        await revoke_grant(client, GrantView.of(grant, one.tenant, 0), "ops", "enough")
    await handle.terminate()


@pytest.mark.parametrize(
    ("update", "wrong"),
    [
        (names.GIVE, {}),
        (names.GIVE, {"grant": {"id": "grt_9", "uses": 5}}),
        (names.USE, None),
        (names.REVOKE, {"grant_id": "grt_1", "by": "ops"}),
    ],
)
async def test_an_update_that_does_not_fit_is_refused_and_harms_nothing(
    client: Client, refusal: Refused, update: str, wrong: Any
) -> None:
    async with kept(client) as one:
        await one.give()
        assert (await refusal(one.handle.execute_update(update, wrong))).type == "InvalidMessage"
        assert await one.left() == 20


@pytest.mark.parametrize(
    ("given", "field"), [({}, "tenant"), ({"tenant": "a", "standing": {"grants": {}}}, "standing")]
)
async def test_a_start_that_does_not_fit_fails_at_once(client: Client, given: Any, field: str) -> None:
    async with kept(client) as one:
        await one.give()
        assert field in (await refused_start(client, names.TENANT_GRANTS, given)).message
