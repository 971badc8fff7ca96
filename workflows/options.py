"""Time limits and retries of every activity, in one table."""

from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig, LocalActivityConfig

from backstay.contracts.admission import Effect, ModelSpec, ToolSpec

HEARTBEAT = timedelta(seconds=10)
MARGIN = timedelta(seconds=15)
LONGEST_REPLY = timedelta(seconds=300)
READ_ATTEMPTS = 3
WRITE_ATTEMPTS = 10
CLAIM_ATTEMPTS = 10
LONGEST_INTERVAL = timedelta(seconds=30)

ADMIT: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(maximum_attempts=10, maximum_interval=timedelta(seconds=10)),
    "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
}

# A local activity runs inside a workflow task, and signals wait while it does: short, and few attempts.
AUTHORIZE: LocalActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=5),
    "retry_policy": RetryPolicy(maximum_attempts=3, initial_interval=timedelta(milliseconds=100)),
}

NOTIFY: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=15),
    "schedule_to_close_timeout": timedelta(minutes=2),
    "retry_policy": RetryPolicy(maximum_attempts=5),
}

RECONCILE: ActivityConfig = {
    "start_to_close_timeout": timedelta(minutes=5),
    "heartbeat_timeout": HEARTBEAT,
    "retry_policy": RetryPolicy(maximum_attempts=3),
    "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
}


def decide_options(model: ModelSpec) -> ActivityConfig:
    """Returns how a decision is run: tried again until `give_up_after`. The budget limits the billed attempts."""
    give_up = timedelta(seconds=model.give_up_after)
    return {
        "start_to_close_timeout": min(LONGEST_REPLY + MARGIN, give_up),
        "schedule_to_close_timeout": give_up,
        "heartbeat_timeout": HEARTBEAT,
        "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=30)),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    }


def paid_attempts(tool: ToolSpec) -> int:
    """Returns how many attempts at one call may each cost money; an idempotent call is paid for once."""
    return READ_ATTEMPTS if tool.cost and tool.effect == "read" else 1


def act_options(tool: ToolSpec, paid: int) -> ActivityConfig:
    """Returns how a call is run: tried again after a crash or a timeout only where its effect allows it.

    `paid` is the number of attempts that the budget has room for, where each may cost money. A call of a tool with
    `dedupe` only claims the effect, and may do so any number of times. It waits as long as performing the effect may
    take, and as long again in case the worker that performs it is lost.
    """
    if tool.dedupe is None:
        attempts = paid if paid_attempts(tool) > 1 else _attempts(tool.effect)
        return _executing(timedelta(seconds=tool.timeout) + MARGIN, attempts)
    one = 2 * (timedelta(seconds=tool.timeout) + MARGIN) + LONGEST_INTERVAL
    return _executing(_attempts(tool.effect) * one, CLAIM_ATTEMPTS)


def perform_options(effect: Effect, timeout: float) -> ActivityConfig:
    """Returns how a shared effect is performed: once, or again where another attempt does no harm."""
    return _executing(timedelta(seconds=timeout) + MARGIN, _attempts(effect))


def _attempts(effect: Effect) -> int:
    return {"read": READ_ATTEMPTS, "write": WRITE_ATTEMPTS, "once": 1}[effect]


def _executing(longest: timedelta, attempts: int) -> ActivityConfig:
    return {
        "start_to_close_timeout": longest,
        "heartbeat_timeout": HEARTBEAT,
        "retry_policy": RetryPolicy(
            maximum_attempts=attempts,
            initial_interval=timedelta(milliseconds=500),
            maximum_interval=LONGEST_INTERVAL,
        ),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    }
