"""Checks that the server shares its queues between tenants, and that the accounts of providers have a rate."""

from collections.abc import AsyncGenerator, Sequence

from temporalio.client import Client
from temporalio.service import RPCError

from backstay.adapters.engine.fairness import shares_fairly
from backstay.client.connection import connect
from backstay.client.health import Check
from backstay.client.quotas import Rate, rates
from backstay.contracts.quota import per_minute
from backstay.errors import BackstayError

FAIR = "set `matching.enableFairness` to true in the server's dynamic configuration"


async def account_checks(accounts: Sequence[str]) -> AsyncGenerator[Check]:
    """Checks each account, then the server; nothing where no server answers."""
    try:
        client = await connect()
        for account in accounts:
            yield _rate(*await rates(client, account))
    except BackstayError:
        return  # the check of the server says so
    yield await _fairness(client)


def _rate(rate: Rate) -> Check:
    if (hold := rate.queue.hold) is not None:
        mend = "see `backstay incident status`; if none is in force, lift the limit with Temporal's tool"
        return Check("account", True, f"{rate.account}: no call is let through, {hold.by}", mend, doubtful=True)
    if rate.in_force is None:
        detail = f"{rate.account}: no rate is set, so the provider refuses what is too much"
        return Check("account", True, detail, f"`backstay quota set {rate.account} --rpm N`", doubtful=True)
    detail = f"{rate.account}: {per_minute(rate.in_force)} requests per minute"
    if rate.lowered:
        return Check("account", True, f"{detail}; {rate.why}", "see `backstay quota show`", doubtful=True)
    return Check("account", True, detail)


async def _fairness(client: Client) -> Check:
    try:
        fair = await shares_fairly(client)
    except RPCError as error:
        return Check("fairness", True, f"cannot be tried on this server: {error.message}", FAIR, doubtful=True)
    if fair is None:
        return Check("fairness", True, "cannot be told: a trial did not end", FAIR, doubtful=True)
    if not fair:
        detail = "off: a queue serves first whoever came first, so that a tenant with many runs holds up all others"
        return Check("fairness", True, detail, FAIR, doubtful=True)
    return Check("fairness", True, "a queue with a backlog is shared between tenants")
