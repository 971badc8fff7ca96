"""Time limits and retries of every activity, in one table."""

from datetime import timedelta

from temporalio.common import Priority, RetryPolicy, WorkflowIDReusePolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig, LocalActivityConfig

from backstay.contracts import names
from backstay.contracts.admission import Effect, ModelSpec, ToolSpec
from backstay.kernel.draw import Paid
from backstay.kernel.keys import fairness_key

HEARTBEAT = timedelta(seconds=10)
MARGIN = timedelta(seconds=15)
LONGEST_REPLY = timedelta(seconds=300)
LONGEST_TURN = timedelta(days=7)
"""The longest wait of a decision for its turn in the queue of an account; the run's own limit of seconds is shorter."""
ONE_CHILD = WorkflowIDReusePolicy.REJECT_DUPLICATE
"""A child run is started once, also where it has ended before its parent was reset."""
READ_ATTEMPTS = 3
WRITE_ATTEMPTS = 10
CLAIM_ATTEMPTS = 10
LONGEST_INTERVAL = timedelta(seconds=30)

ADMIT: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(maximum_attempts=10, maximum_interval=timedelta(seconds=10)),
    "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
}

# Of runs of before: a local activity runs inside a workflow task, and signals wait while it does.
AUTHORIZE_HERE: LocalActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=5),
    "retry_policy": RetryPolicy(maximum_attempts=3, initial_interval=timedelta(milliseconds=100)),
}

# Nothing is lost where nobody waits for the answer: a kill does not.
AUTHORIZE: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(maximum_attempts=3),
    "cancellation_type": ActivityCancellationType.TRY_CANCEL,
}

NOTIFY: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=15),
    "schedule_to_close_timeout": timedelta(minutes=2),
    "retry_policy": RetryPolicy(maximum_attempts=5),
}

VERIFY: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=10),
    "schedule_to_close_timeout": timedelta(seconds=30),
    "retry_policy": RetryPolicy(maximum_attempts=5, maximum_interval=timedelta(seconds=5)),
}

# Beside the run: an archive that is away for an hour misses nothing.
ARCHIVE: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=60),
    "schedule_to_close_timeout": timedelta(hours=1),
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=60)),
}

# At its end a run waits so long for the archive, and then closes with its result all the same.
ARCHIVE_LAST: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=30),
    "schedule_to_close_timeout": timedelta(seconds=60),
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=5)),
}

# A link needs all of the conversation, however long it takes to read it.
RECALL: ActivityConfig = {
    "start_to_close_timeout": timedelta(minutes=2),
    "heartbeat_timeout": HEARTBEAT,
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=10)),
    "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
}

RECONCILE: ActivityConfig = {
    "start_to_close_timeout": timedelta(minutes=5),
    "heartbeat_timeout": HEARTBEAT,
    "retry_policy": RetryPolicy(maximum_attempts=3),
    "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
}

# What became of a child that was started before a reset: it is waited for, as long as it runs.
DELEGATE: ActivityConfig = {
    "start_to_close_timeout": timedelta(hours=1),
    "heartbeat_timeout": HEARTBEAT,
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=10)),
    "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
}

# Reads the conversation, perhaps from the history, and asks nobody.
COMPACT: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=60),
    "schedule_to_close_timeout": timedelta(minutes=10),
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=10)),
    "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
}

RESERVE: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=15),
    "schedule_to_close_timeout": timedelta(seconds=30),
    "heartbeat_timeout": HEARTBEAT,
    "retry_policy": RetryPolicy(maximum_attempts=2),
    "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
}

METER: ActivityConfig = RESERVE

ENQUEUE: ActivityConfig = RESERVE

# A ledger in which runs wait looks again soon; where no worker serves the queue of those runs they wait anyway.
LOOK: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=30),
    "schedule_to_start_timeout": timedelta(seconds=10),
    "heartbeat_timeout": HEARTBEAT,
    "retry_policy": RetryPolicy(maximum_attempts=1),
}

GRANT: ActivityConfig = RESERVE

SWEEP: ActivityConfig = {
    "start_to_close_timeout": timedelta(minutes=2),
    "schedule_to_close_timeout": timedelta(minutes=4),
    "heartbeat_timeout": HEARTBEAT,
    "retry_policy": RetryPolicy(maximum_attempts=2),
}

# Until its books are whole a ledger refuses everything: it never gives up reading them.
RESTORE: ActivityConfig = {
    "start_to_close_timeout": timedelta(minutes=30),
    "heartbeat_timeout": HEARTBEAT,
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=10)),
}

# The runs in scope may be many, and the next round asks again. Whoever stops a fleet waits for it: where the worker
# that has it dies, another one has it soon, and no harm is done where the first was only slow.
LIST_RUNS: ActivityConfig = {
    "start_to_close_timeout": timedelta(minutes=2),
    "schedule_to_close_timeout": timedelta(minutes=4),
    "heartbeat_timeout": timedelta(seconds=4),
    "retry_policy": RetryPolicy(maximum_attempts=3, maximum_interval=timedelta(seconds=2)),
}

TELL_RUNS: ActivityConfig = LIST_RUNS

ORDER: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=5)),
}

FIND_FLEETS: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=20),
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=5)),
}

HOLD_QUEUES: ActivityConfig = FIND_FLEETS

# A fleet without workers does not answer, and one of before this activity cannot.
SERVES: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=5),
    "schedule_to_start_timeout": timedelta(seconds=3),
    "retry_policy": RetryPolicy(maximum_attempts=1),
}

# The rate may be another one by the time that the server answers: a few attempts, then those of then.
PACE: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=10),
    "schedule_to_close_timeout": timedelta(seconds=20),
    "retry_policy": RetryPolicy(maximum_attempts=3),
}

# Until it knows the rate that is in force nothing can be raised or lowered.
PACED: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=10)),
}


# A stop that a breaker asks for, and the question whether one was lifted: asked anew until it is answered.
TRIP: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=10),
    "schedule_to_close_timeout": timedelta(seconds=30),
    "retry_policy": RetryPolicy(maximum_attempts=3),
}

LIFTED: ActivityConfig = TRIP


def shared_fairly(tenant: str) -> Priority:
    """Returns the mark by which the server shares a queue with a backlog between the tenants of runs."""
    return Priority(fairness_key=fairness_key(tenant))


def decide_options(model: ModelSpec) -> ActivityConfig:
    """Returns how a decision is run: tried again until `give_up_after`. The budget limits the billed attempts.

    A model with an account is asked over the account's queue. There the activity itself gives up: the time in which it
    waits for its turn is no failed attempt.
    """
    if model.account is not None:
        return {
            **_deciding(timedelta(seconds=model.give_up_after) + LONGEST_TURN),
            "task_queue": names.model_queue(model.account),
        }
    return _deciding(timedelta(seconds=model.give_up_after))


def _deciding(give_up: timedelta) -> ActivityConfig:
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


def paid(tool: ToolSpec) -> Paid:
    """Returns what money is drawn for a call."""
    return Paid(tool.cost, paid_attempts(tool))


def act_options(tool: ToolSpec, paid: int, begun: int = 0) -> ActivityConfig:
    """Returns how a call is run: tried again after a crash or a timeout only where its effect allows it.

    `paid` is the number of attempts that the budget has room for, where each may cost money. A call of a tool with
    `dedupe` only claims the effect, and may do so any number of times. It waits as long as performing the effect may
    take, and as long again in case the worker that performs it is lost.

    `begun` attempts were made before a stop held the call: so many fewer are left.
    """
    if tool.dedupe is None:
        attempts = paid if paid_attempts(tool) > 1 else _attempts(tool.effect)
        return _executing(timedelta(seconds=tool.timeout) + MARGIN, attempts - begun)
    one = 2 * (timedelta(seconds=tool.timeout) + MARGIN) + LONGEST_INTERVAL
    return _executing(_attempts(tool.effect) * one, CLAIM_ATTEMPTS - begun)


def perform_options(effect: Effect, timeout: float, begun: int = 0) -> ActivityConfig:
    """Returns how a shared effect is performed: once, or again where another attempt does no harm.

    `begun` attempts were made before a stop held the performance: so many fewer are left.
    """
    return _executing(timedelta(seconds=timeout) + MARGIN, _attempts(effect) - begun)


def _attempts(effect: Effect) -> int:
    return {"read": READ_ATTEMPTS, "write": WRITE_ATTEMPTS, "once": 1}[effect]


def _executing(longest: timedelta, attempts: int) -> ActivityConfig:
    return {
        "start_to_close_timeout": longest,
        "heartbeat_timeout": HEARTBEAT,
        "retry_policy": RetryPolicy(
            maximum_attempts=max(1, attempts),  # the engine takes 0 for no limit
            initial_interval=timedelta(milliseconds=500),
            maximum_interval=LONGEST_INTERVAL,
        ),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    }
