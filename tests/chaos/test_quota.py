"""Runs of several tenants share the rate of a provider that truly refuses what is above it."""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from temporalio.client import Client

from backstay.client.quotas import Rate, rates, set_quota
from backstay.contracts.quota import SetQuota, read_per_minute
from backstay.kernel.quota import PER_REQUEST
from backstay.testing.runtime import LocalRuntime, local_runtime

from .metered_provider import MeteredProvider

SOAK = bool(os.environ.get("BACKSTAY_SOAK"))
PER_MINUTE = 60 if SOAK else 360
RUNS = {"acme": 350, "beta": 50, "cork": 50, "delta": 50} if SOAK else {"acme": 30, "beta": 12, "cork": 12, "delta": 12}
PART_OF_A_SHARE = 2 if SOAK else 4  # four partitions share by themselves: few calls show it roughly
ALMOST_NONE = 0.06
SETTLED_SECONDS = 120 if SOAK else 25
WATCHED_SECONDS = 60 if SOAK else 3
TOML = '[model]\naccount = "{account}"\ngive_up_after = "5s"\n[budget]\nseconds = 7_200\n'


@dataclass(frozen=True, slots=True)
class Shared:
    """An account with its runtime and its provider."""

    account: str
    runtime: LocalRuntime
    provider: MeteredProvider

    async def limit(self, per_minute: float) -> None:
        setting = SetQuota(rate=read_per_minute(str(per_minute)), by="alice")
        await set_quota(self.runtime.client, self.account, setting)

    async def rate(self) -> Rate:
        [found] = await rates(self.runtime.client, self.account)
        return found

    async def until_all_wait(self, calls: int) -> None:
        """Waits until the calls stand in the queue, but for the few that a bucket lets through at once."""
        async with asyncio.timeout(60):
            while (await self.rate()).queue.backlog + len(self.provider.served) < calls:
                await asyncio.sleep(0.2)

    async def start(self, runs: Mapping[str, int]) -> list[str]:
        """Starts runs of tenants, those of the first tenant before all others; returns their ids."""
        asked = [
            (f"{self.account}-{tenant}-{number}", tenant) for tenant, many in runs.items() for number in range(many)
        ]
        for run_id, tenant in asked:
            request = {"goal": f"{tenant} asks", "agent": "clerk", "tenant": tenant}
            await self.runtime.start(request, run_id)
        return [run_id for run_id, _ in asked]


@asynccontextmanager
async def shared(
    client: Client, agent_folder: Callable[..., Path], provider: MeteredProvider
) -> AsyncGenerator[Shared]:
    account = f"main-{uuid.uuid4().hex[:8]}"
    agents = agent_folder(toml=TOML.format(account=account))
    async with local_runtime([provider.turn], agents=agents, client=client, worker=False) as runtime:
        yield Shared(account, runtime, provider)


@pytest.mark.soak
@pytest.mark.timeout(3600 if SOAK else 120)
async def test_tenants_share_a_providers_rate_and_hardly_a_call_is_refused(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    provider = MeteredProvider(PER_MINUTE, burst=5 if SOAK else 12)
    async with shared(client, agent_folder, provider) as account:
        await account.limit(ALMOST_NONE)
        started = await account.start(RUNS)
        async with account.runtime.serving():
            await account.until_all_wait(len(started))
            await account.limit(PER_MINUTE * 0.95)
            began = time.monotonic()
            results = [await client.get_workflow_handle(run_id).result() for run_id in started]
    assert {result["status"] for result in results} == {"completed"}
    assert sum(provider.answers().values()) == len(started)
    since, until = max(map(provider.first, RUNS)), min(map(provider.last, RUNS))
    share = provider.answers(since, until)
    print(
        f"{len(started)} runs in {time.monotonic() - began:.1f} s, {provider.refusals} refused; "
        f"from {since:.1f} to {until:.1f} s all had work: {dict(share)}"
    )
    assert provider.refusals < 0.01 * len(provider.served)
    assert min(share[tenant] for tenant in RUNS) >= sum(share.values()) / len(RUNS) / PART_OF_A_SHARE


@pytest.mark.soak
@pytest.mark.timeout(600 if SOAK else 120)
async def test_a_quota_that_is_set_too_high_settles_below_the_providers_rate_and_says_so(
    client: Client, agent_folder: Callable[..., Path]
) -> None:
    limit = 240
    provider = MeteredProvider(limit, burst=limit / 60)
    async with shared(client, agent_folder, provider) as account:
        await account.limit(3 * limit)
        started = await account.start({"acme": 5 * (SETTLED_SECONDS + WATCHED_SECONDS) if SOAK else 100})
        async with account.runtime.serving():
            await until_settled(account, limit)
            seen = [await account.rate()]
            for _ in range(WATCHED_SECONDS):
                await asyncio.sleep(1)
                seen.append(await account.rate())
        for run_id in started:
            handle = client.get_workflow_handle(run_id)
            if (await handle.describe()).close_time is None:
                await handle.terminate()
    rate = seen[-1]
    print(f"in force: {[(one.in_force or 0) / PER_REQUEST for one in seen]}")
    assert max(one.in_force or 0 for one in seen) < limit * PER_REQUEST
    assert (rate.configured, rate.lowered) == (3 * limit * PER_REQUEST, True)
    assert "rpm, set by alice; lowered, because the provider refused calls with HTTP 429" in rate.why
    assert rate.until is not None
    assert rate.queue.paced.why == rate.why


async def until_settled(account: Shared, limit: int) -> None:
    """Waits until the rate is below the provider's; a soak for two minutes."""
    begun = time.monotonic()
    while (past := time.monotonic() - begun) < SETTLED_SECONDS:
        rate = (await account.rate()).in_force or 0
        print(f"{past:.0f} s: {rate / PER_REQUEST} rpm, {account.provider.refusals} refused")
        if rate < limit * PER_REQUEST and not SOAK:
            return
        await asyncio.sleep(1)
