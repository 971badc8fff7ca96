"""Sets and reads the rates of providers' accounts; needs no worker."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backstay.adapters.engine.errors import in_our_words
from backstay.adapters.engine.executions import Execution, described, listed
from backstay.adapters.engine.quotas import tell
from backstay.adapters.engine.rates import QueueRate, put_rate, queue_rate
from backstay.contracts import names
from backstay.contracts.problems import problems_of
from backstay.contracts.queue_hold import QueueHold
from backstay.contracts.quota import Account, PacedRate, QuotaView, SetQuota, why
from backstay.errors import CodecError, ConfigurationError
from backstay.kernel.keys import account_of, quota_id
from backstay.kernel.quota import Quota

_ACCOUNT: TypeAdapter[str] = TypeAdapter(Account)


@dataclass(frozen=True, slots=True)
class Rate:
    """The rate of an account, in thousandths of a request per minute; None is no limit.

    Attributes:
        account: the account's name.
        configured: the rate that was set.
        in_force: the rate that the server holds now.
        why: who set it, and why less is in force.
        until: when the configured rate is in force again if nothing more is refused; None where it is, or unknown.
        refusals: how often workers told of refusals since the rate was set; None where nobody counts.
        queue: the account's task queue; while incidents hold it, nothing is let through.
    """

    account: str
    configured: int | None
    in_force: int | None
    why: str
    until: datetime | None
    refusals: int | None
    queue: QueueRate

    @property
    def lowered(self) -> bool:
        """Tells whether less is in force than was set."""
        return self.in_force is not None and self.in_force != self.configured


def check_account(account: str) -> None:
    """Checks the name of an account.

    Raises:
        ConfigurationError: no account can have that name.
    """
    try:
        _ACCOUNT.validate_python(account)
    except ValidationError as error:
        raise ConfigurationError(problems_of(error)[0].problem) from None


async def set_quota(client: Client, account: str, setting: SetQuota) -> QueueHold | None:
    """Sets the rate of an account, or takes its limit away; in force when this returns.

    Returns:
        What holds the account's queue for incidents: the rate comes into force when they are lifted; None otherwise.

    Raises:
        ConfigurationError: the server cannot hold a rate.
        UnreachableError: Temporal does not answer.
    """
    with in_our_words(client, quota_id(account)):
        try:
            hold = await put_rate(client, account, setting.rate, why(Quota(setting.rate, setting.rate), setting))
        except RPCError as error:
            if error.status is RPCStatusCode.UNIMPLEMENTED:
                raise ConfigurationError("this Temporal server cannot hold the rate of a task queue") from error
            raise
        # The workflow puts it in force once more: a step of its own may have come between.
        await tell(client, account, names.SET_QUOTA, setting)
        return hold


async def rates(client: Client, account: str | None = None) -> list[Rate]:
    """Returns the rates of the accounts that have one, or of one account, whether it has one or not.

    Raises:
        UnreachableError: Temporal does not answer.
    """
    with in_our_words(client, ""):
        kept = {account_of(one.workflow_id): await _view(one) for one in await _kept(client, account)}
        wanted = sorted(kept) if account is None else [account]
        return [_rate(name, kept.get(name), await queue_rate(client, name)) for name in wanted]


def _rate(account: str, view: QuotaView | None, queue: QueueRate) -> Rate:
    paced, hold = queue.paced, queue.hold
    if view is None:
        before = paced if hold is None else PacedRate(rate=hold.rate, why=hold.why)
        told = paced.why if hold is None else f"{hold.by}; then {hold.why or 'as before'}"
        return Rate(account, before.configured, paced.rate, told, None, None, queue)
    quota = view.quota
    until = None if view.until_ms is None else datetime.fromtimestamp(view.until_ms / 1_000, UTC)
    told = why(quota, view.setting)
    if quota.rate is None and quota.refusals:
        told = f"{told}; the provider refuses calls with HTTP 429"
    if hold is not None:
        told = f"{hold.by}; then {told}"
    return Rate(account, quota.configured, paced.rate, told, until, quota.refusals, queue)


async def _kept(client: Client, account: str | None) -> list[Execution]:
    """Returns the open workflows that keep rates."""
    if account is None:
        query = f"WorkflowType = {json.dumps(names.PROVIDER_QUOTA)} AND CloseTime IS NULL"
        return [one async for one in listed(client, query)]
    try:
        one = await described(client, quota_id(account))
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return []
        raise
    # What it wrote down outlives it: a closed one is not in force.
    return [one] if one.open and one.workflow_type == names.PROVIDER_QUOTA else []


async def _view(execution: Execution) -> QuotaView | None:
    """Returns what the workflow has written down; None where nobody has served it yet."""
    try:
        return QuotaView.model_validate(await execution.memo_value(names.QUOTA))
    except (ValidationError, CodecError):
        return None
