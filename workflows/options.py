"""How each activity is run: time limits and retries, in one table."""

from datetime import timedelta
from typing import Any

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

from backstay.contracts.admission import ModelSpec, ToolSpec

HEARTBEAT = timedelta(seconds=10)
MARGIN = timedelta(seconds=15)
LONGEST_REPLY = timedelta(seconds=300)
READ_ATTEMPTS = 3
WRITE_ATTEMPTS = 10

ADMIT: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=30),
    "retry_policy": RetryPolicy(maximum_attempts=10, maximum_interval=timedelta(seconds=10)),
}

# A local activity runs inside a workflow task, and signals wait while it does: short, and few attempts.
AUTHORIZE: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=5),
    "retry_policy": RetryPolicy(maximum_attempts=3, initial_interval=timedelta(milliseconds=100)),
}

NOTIFY: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=15),
    "schedule_to_close_timeout": timedelta(minutes=2),
    "retry_policy": RetryPolicy(maximum_attempts=5),
}

RECONCILE: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=5),
    "heartbeat_timeout": HEARTBEAT,
    "retry_policy": RetryPolicy(maximum_attempts=3),
    "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
}


def decide_options(model: ModelSpec) -> dict[str, Any]:
    """A decision is tried again until `give_up_after`; how many attempts may be billed is the budget's matter."""
    give_up = timedelta(seconds=model.give_up_after)
    return {
        "start_to_close_timeout": min(LONGEST_REPLY + MARGIN, give_up),
        "schedule_to_close_timeout": give_up,
        "heartbeat_timeout": HEARTBEAT,
        "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=30)),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    }


def act_options(tool: ToolSpec) -> dict[str, Any]:
    """A call is tried again after a crash or a timeout where its effect allows it, and never where not."""
    attempts = {"read": READ_ATTEMPTS, "write": WRITE_ATTEMPTS, "once": 1}[tool.effect]
    return {
        "start_to_close_timeout": timedelta(seconds=tool.timeout) + MARGIN,
        "heartbeat_timeout": HEARTBEAT,
        "retry_policy": RetryPolicy(
            maximum_attempts=attempts,
            initial_interval=timedelta(milliseconds=500),
            maximum_interval=timedelta(seconds=30),
        ),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    }
