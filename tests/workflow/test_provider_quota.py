"""The workflow of an account's rate by itself: what it makes the server hold, and what it tells of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError

from backstay.adapters.engine import quotas as telling
from backstay.adapters.engine.quotas import Quotas, tell
from backstay.app import folders
from backstay.contracts import names
from backstay.contracts.quota import PacedRate, PaceInput, QuotaRef, QuotaView, SetQuota, Throttled
from backstay.kernel import quota as kernel
from backstay.kernel.keys import quota_id

from .entity import PATIENCE, refused_start, served

SETTING = SetQuota(rate=400_000, by="alice")
AT_ONCE: dict[str, Any] = {"STEP_MS": 50, "DEAF_MS": 50, "REMEMBERED_MS": 300, "STEPS": 5}
"""Steps that are due at once."""


class Engine:
    """The rate that the server holds; `puts` are all that it was told to hold, `busy` how often it refuses before."""

    def __init__(self, held: PacedRate) -> None:
        self.held = held
        self.puts: list[int | None] = []
        self.busy = 0

    @activity.defn(name=names.PACE)
    async def pace(self, given: PaceInput) -> PacedRate:
        if self.busy:
            self.busy -= 1
            raise ApplicationError("busy", non_retryable=True)
        self.puts.append(given.rate)
        self.held = PacedRate(rate=given.rate, why=given.why)
        return self.held

    @activity.defn(name=names.PACED)
    async def paced(self, given: QuotaRef) -> PacedRate:
        return self.held


class Kept:
    """One account."""

    def __init__(self, client: Client, engine: Engine) -> None:
        self.client, self.engine = client, engine
        self.account = f"main-{uuid.uuid4().hex}"

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(quota_id(self.account))

    async def refuse(self, wait_ms: int = 0) -> None:
        await tell(self.client, self.account, names.THROTTLED, Throttled(wait_ms=wait_ms))

    async def set(self, rate: int | None) -> None:
        await tell(self.client, self.account, names.SET_QUOTA, SetQuota(rate=rate, by="alice"))

    async def view(self) -> QuotaView:
        return QuotaView.model_validate(await self.handle.query(names.QUOTA))

    async def shown(self) -> QuotaView | None:
        """The rate as the memo has it, which needs no worker."""
        memo = await (await self.handle.describe()).memo()
        return QuotaView.model_validate(memo[names.QUOTA]) if names.QUOTA in memo else None

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        end = time.monotonic() + PATIENCE
        while not await holds():
            assert time.monotonic() < end, f"the condition did not come to hold: {self.engine.puts}"
            await asyncio.sleep(0.05)

    async def until_put(self, *rates: int | None) -> None:
        # What is told in two messages may be put in force between them, too.
        async def put() -> bool:
            puts = self.engine.puts
            return any(tuple(puts[at : at + len(rates)]) == rates for at in range(len(puts)))

        await self.until(put)


@contextlib.asynccontextmanager
async def kept(client: Client, rate: int | None = 400_000, why: str = "", **changed: Any) -> AsyncGenerator[Kept]:
    """Keeps one account, with these constants of its module or of the kernel changed."""
    engine, module = Engine(PacedRate(rate=rate, why=why)), folders.provider_quota
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"STEP_MS": 600_000, **changed}.items():  # a slow machine would see steps in between
            patch.setattr(module if hasattr(module, name) else kernel, name, value)
        async with served(client, module.ProviderQuota, engine.pace, engine.paced):
            one = Kept(client, engine)
            yield one
            await one.handle.terminate()


async def test_a_refusal_halves_the_rate_that_the_server_has_and_says_so(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async with kept(client) as account:
        await account.refuse()
        await account.until_put(200_000)
        view = await account.view()
        assert (view.quota.configured, view.quota.rate, view.quota.refusals) == (400_000, 200_000, 1)
        assert view.until_ms is not None
        assert account.engine.held.why == (
            "400 rpm, found on the server; lowered, because the provider refused calls with HTTP 429 at 400 rpm"
        )
        assert "refuses calls with HTTP 429: lowered from 400 to 200 requests per minute" in caplog.text

        async def written_down() -> bool:
            return await account.shown() == view

        await account.until(written_down)


async def test_a_burst_of_refusals_from_many_workers_halves_the_rate_once(client: Client) -> None:
    async with kept(client) as account:
        await asyncio.gather(*(account.refuse() for _ in range(10)))
        await account.until_put(200_000)

        async def counted() -> bool:
            return (await account.view()).quota.refusals == 10

        await account.until(counted)
        assert account.engine.puts == [200_000]


async def test_the_rate_is_raised_again_in_steps_up_to_what_was_set(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async with kept(client, **AT_ONCE) as account:
        await account.set(400_000)
        await account.until_put(400_000)
        await account.refuse()

        async def back() -> bool:
            return len(account.engine.puts) > 2 and account.engine.puts[-1] == 400_000

        await account.until(back)
        raised = [rate or 0 for rate in account.engine.puts[1:]]
        assert 200_000 <= raised[0] < 400_000
        assert raised == sorted(raised)
        assert len(raised) > 2
        assert (await account.view()).until_ms is None
        assert account.engine.held.why == "400 rpm, set by alice"
        assert "is back at 400 requests per minute" in caplog.text


async def test_a_rate_that_people_set_forgets_what_was_refused(client: Client) -> None:
    async with kept(client) as account:
        await account.refuse()
        await account.until_put(200_000)
        await account.set(100_000)
        await account.until_put(200_000, 100_000)
        quota = (await account.view()).quota
        assert (quota.configured, quota.rate, quota.lowered, quota.refusals) == (100_000, 100_000, False, 0)


async def test_a_limit_that_is_taken_away_stays_away(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    async with kept(client) as account:
        await account.set(None)
        await account.until_put(None)
        await account.refuse()

        async def told() -> bool:
            shown = await account.shown()
            return shown is not None and shown.quota.refusals == 1

        await account.until(told)
        assert account.engine.puts == [None]
        assert f"no rate is set: `backstay quota set {account.account}`" in caplog.text


async def test_one_that_was_terminated_while_the_rate_was_low_comes_back_with_what_was_set(client: Client) -> None:
    async with kept(client) as account:
        await account.set(400_000)
        await account.refuse()
        await account.until_put(200_000)
        await account.handle.terminate()
        await account.refuse()
        await account.until_put(200_000, 100_000)
        assert (await account.view()).quota.configured == 400_000


async def test_a_server_that_does_not_take_a_rate_is_asked_again(client: Client) -> None:
    async with kept(client, AGAIN=timedelta(seconds=0.1)) as account:
        account.engine.busy = 2
        await account.refuse()
        await account.until_put(200_000)


async def test_the_rate_and_who_set_it_outlive_a_link(client: Client) -> None:
    async with kept(client, MESSAGES_PER_LINK=3) as account:
        await account.set(400_000)
        first = (await account.handle.describe()).run_id
        for _ in range(4):
            await account.refuse()

        async def rolled() -> bool:
            return (await account.handle.describe()).run_id != first and account.engine.held.rate == 200_000

        await account.until(rolled)
        view = await account.view()
        assert view.setting == SETTING
        assert (view.quota.configured, view.quota.rate) == (400_000, 200_000)


async def test_a_worker_tells_of_refusals_of_one_second_once(client: Client) -> None:
    async with kept(client) as account:
        quotas = Quotas(client)
        for _ in range(50):
            quotas.throttled(account.account, 0.5)
        await account.until_put(200_000)
        assert (await account.view()).quota.refusals == 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(telling, "EVERY_SECONDS", 0.0)
            late = Quotas(client)
            late.throttled(account.account, None)
            late.throttled(account.account, 10**9)

            async def counted() -> bool:
                return (await account.view()).quota.refusals == 3

            await account.until(counted)


@pytest.mark.parametrize(
    ("given", "problem"),
    [("main", "`$`"), ({"account": "a b"}, "`account`"), ({"account": "x", "quota": {"rate": 5}}, "`quota`")],
)
async def test_a_start_that_does_not_fit_is_refused(client: Client, given: object, problem: str) -> None:
    async with kept(client) as account:
        refused = await refused_start(client, names.PROVIDER_QUOTA, given, quota_id(account.account))
        assert problem in refused.message
        await account.refuse()  # the next one is a new one


async def test_messages_that_do_not_fit_change_nothing(client: Client) -> None:
    async with kept(client) as account:
        await account.set(400_000)
        await account.until_put(400_000)
        await account.handle.signal(names.THROTTLED, {"wait_ms": "long"})
        await account.handle.signal(names.SET_QUOTA, {"rate": -1, "by": "eve"})
        assert (await account.view()).quota.rate == 400_000
        assert account.engine.puts == [400_000]
