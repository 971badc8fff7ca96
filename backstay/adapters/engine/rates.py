"""Sets and reads the rate of an account's task queue, which the server holds for all its workers."""

import struct
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue, TaskQueueConfig
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, UpdateTaskQueueConfigRequest
from temporalio.client import Client
from temporalio.service import RPCError

from backstay.contracts.names import model_queue
from backstay.contracts.queue_hold import QueueHold, QueueLimit
from backstay.contracts.quota import PacedRate
from backstay.errors import HistoryError
from backstay.kernel.engine import CallKind
from backstay.kernel.quota import PER_REQUEST

from .orders import Orders

_ACTIVITIES = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
_PATIENCE = timedelta(seconds=5)
_PER_SECOND = 60 * PER_REQUEST


@dataclass(frozen=True, slots=True)
class QueueRate:
    """The task queue of an account, as the server tells of it.

    Attributes:
        paced: the rate in force, and why.
        since: when it was set; None where there is no limit.
        backlog: how many calls wait, about.
        oldest_seconds: how long the first of them has waited.
        pollers: how many workers took calls lately.
        hold: what holds the queue for incidents, and the rate that it gets back; None where nothing does.
    """

    paced: PacedRate
    since: datetime | None
    backlog: int
    oldest_seconds: float
    pollers: int
    hold: QueueHold | None = None


async def put_rate(client: Client, account: str, rate: int | None, why: str) -> QueueHold | None:
    """Sets the rate of an account's queue, never above what is asked; None takes the limit away.

    A queue that is held for an incident stays held, and gets the rate when the incident is lifted.

    Args:
        client: the Temporal client.
        account: the account.
        rate: thousandths of a request per minute.
        why: the reason that the server keeps.

    Returns:
        What holds the queue meanwhile; None where the rate is in force.

    Raises:
        RPCError: the server does not answer, or refuses.
    """
    queue = model_queue(account)
    now = await limit_of(client, queue)
    hold = QueueHold.read(now.rate, now.why)
    if hold is None:
        await put_limit(client, queue, QueueLimit(rate=rate, why=why))
        return None
    later = replace(hold, rate=rate, why=why)
    await put_limit(client, queue, QueueLimit(rate=0, why=later.words))
    if await _wanted(client, queue):
        return later
    # Whoever let go of it meanwhile knows nothing of what was written after that.
    await put_limit(client, queue, QueueLimit(rate=rate, why=why))
    return None


async def _wanted(client: Client, queue: str) -> bool:
    """Tells whether an incident still wants a queue of calls of models to be held."""
    try:
        state = await Orders(client).in_force()
    except HistoryError:
        return True  # nobody can tell, and nothing is freed on a guess
    now = await limit_of(client, queue)
    hold = QueueHold.read(now.rate, now.why)
    wanting = [one.id for one in state.stops if one.wants_engine(CallKind.MODELS.stage)] if state.confirmed else None
    return hold is not None and bool(hold.without("", wanting).incidents)


async def put_limit(client: Client, queue: str, limit: QueueLimit) -> None:
    """Sets the limit of a queue's activities, whatever holds it.

    Raises:
        RPCError: the server does not answer, or refuses.
    """
    asked = UpdateTaskQueueConfigRequest(
        namespace=client.namespace,
        identity=client.identity,
        task_queue=queue,
        task_queue_type=_ACTIVITIES,
    )
    asked.update_queue_rate_limit.reason = limit.why
    if limit.rate is not None:
        asked.update_queue_rate_limit.rate_limit.SetInParent()  # a rate of nothing is a limit too
        asked.update_queue_rate_limit.rate_limit.requests_per_second = at_most(Fraction(limit.rate, _PER_SECOND))
    await client.workflow_service.update_task_queue_config(asked, timeout=_PATIENCE)


async def limit_of(client: Client, queue: str) -> QueueLimit:
    """Reads the limit of a queue's activities.

    Raises:
        RPCError: the server does not answer, or refuses.
    """
    asked = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=_ACTIVITIES,
        report_config=True,
    )
    found = await client.workflow_service.describe_task_queue(asked, timeout=_PATIENCE)
    return _limit(found.config)


def _limit(config: TaskQueueConfig) -> QueueLimit:
    limit = config.queue_rate_limit
    limited = limit.HasField("rate_limit")
    rate = round(limit.rate_limit.requests_per_second * _PER_SECOND) if limited else None
    return QueueLimit(rate=rate, why=limit.metadata.reason)


async def queue_rate(client: Client, account: str) -> QueueRate:
    """Reads the rate of an account's queue, and what waits in it.

    Raises:
        RPCError: the server does not answer, or refuses.
    """
    asked = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=model_queue(account)),
        task_queue_type=_ACTIVITIES,
        report_config=True,
        report_stats=True,
    )
    found = await client.workflow_service.describe_task_queue(asked, timeout=_PATIENCE)
    limit = _limit(found.config)
    since = found.config.queue_rate_limit.metadata.update_time
    return QueueRate(
        paced=PacedRate(rate=limit.rate, why=limit.why),
        since=None if limit.rate is None else since.ToDatetime(UTC),
        backlog=found.stats.approximate_backlog_count,
        oldest_seconds=found.stats.approximate_backlog_age.ToTimedelta().total_seconds(),
        pollers=len(found.pollers),
        hold=QueueHold.read(limit.rate, limit.why),
    )


def at_most(exact: Fraction) -> float:
    """Returns the largest number that the wire can hold, of 32 bits, and that is not above `exact`, of zero or more.

    Rounded to the nearest one, the server's rate could be above the one that was asked for.
    """
    bits: int = struct.unpack("<I", struct.pack("<f", float(exact)))[0]
    while Fraction(value := float(struct.unpack("<f", struct.pack("<I", bits))[0])) > exact:
        bits -= 1
    return value


class Rates:
    """The rates of accounts, through a Temporal client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def put(self, account: str, rate: int | None, why: str) -> None:
        """Sets the rate of an account; None takes the limit away.

        Raises:
            HistoryError: the engine does not take it.
        """
        try:
            await put_rate(self._client, account, rate, why)
        except RPCError as error:
            raise HistoryError(f"the engine does not take the rate: {error.message}") from error

    async def of(self, account: str) -> PacedRate:
        """Returns the rate that is in force for an account, or comes into force once no incident holds its queue.

        Raises:
            HistoryError: the engine could not be asked.
        """
        try:
            found = await queue_rate(self._client, account)
            return found.paced if found.hold is None else PacedRate(rate=found.hold.rate, why=found.hold.why)
        except RPCError as error:
            raise HistoryError(f"the engine could not be asked: {error.message}") from error
