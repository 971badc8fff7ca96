"""Every id and key of a run, spelled here and nowhere else.

Ids name things within one run or one history. Keys are the idempotency keys that the outside world is given: the same
over attempts, worker crashes, continue-as-new and resets, and different for every other call.
"""

import hashlib

_DECIDE = "decide-"
_ACT = "act-"
_RECONCILE = "reconcile-"


def call_id(step: int, index: int) -> str:
    """Returns the id of a decision's `index`-th call; a model's own ids may repeat, this one does not."""
    return f"{step}-{index}"


def decide_id(step: int) -> str:
    """Returns the activity id of a step's decision, which is the name of its hold too."""
    return f"{_DECIDE}{step}"


def act_id(call_id: str) -> str:
    """Returns the activity id of a call, which is the name of its hold too."""
    return f"{_ACT}{call_id}"


def reconcile_id(call_id: str) -> str:
    """Returns the id of the activity that asks what became of a call."""
    return f"{_RECONCILE}{call_id}"


def perform_id(number: int) -> str:
    """Returns the id of the activity that performs a shared effect for the `number`-th time, counted from 1."""
    return f"perform-{number}"


def decided_step(activity_id: str) -> int | None:
    """Returns the step that a `decide_id` names; None for any other activity."""
    step = activity_id.removeprefix(_DECIDE)
    return int(step) if activity_id.startswith(_DECIDE) and step.isdecimal() else None


def acted_call(activity_id: str) -> str | None:
    """Returns the id of the call that an `act_id` names; None for any other activity."""
    return activity_id.removeprefix(_ACT) if activity_id.startswith(_ACT) else None


def run_key(namespace: str, workflow_id: str, first_run_id: str) -> str:
    """Returns the run's own part of its keys; `first_run_id` is that of the first link of the chain."""
    return _sha256(f"{namespace}\n{workflow_id}\n{first_run_id}")[:32]


def decision_key(run_key: str, step: int) -> str:
    """Returns the idempotency key of a decision."""
    return f"{run_key}/{decide_id(step)}"


def call_key(run_key: str, call_id: str, content: str) -> str:
    """Returns the idempotency key of a call; `content` is a `short_digest` of what it asks for.

    After a reset of the run the model may ask for something else at the same place.
    """
    return f"{run_key}/{call_id}/{content}"


def effect_id(identity: bytes) -> str:
    """Returns the workflow id of a shared effect; `identity` is the RFC 8785 text of what makes calls identical."""
    return f"effect-{hashlib.sha256(identity).hexdigest()}"


def approval_id(digest: str, asked_before: int) -> str:
    """Returns the id of an approval.

    Args:
        digest: that of the exact call.
        asked_before: how many approvals of the call came before.
    """
    exact = f"{digest}\n{asked_before}"
    return f"apr_{_sha256(exact)[:24]}"


def short_digest(text: str) -> str:
    """Returns sixteen hexadecimal digits by which a worker recognises a text that the history records."""
    return _sha256(text)[:16]


def fingerprint(text: str) -> str:
    """Returns the digest by which a run notices that a call brought what it brought before."""
    return _sha256(text)[:32]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
