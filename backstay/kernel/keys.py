"""Every id and key of a run, spelled here and nowhere else.

Ids name things within one run or one history. Keys are the idempotency keys that the outside world is given: the same
over attempts, worker crashes, continue-as-new and resets, and different for every other call.
"""

import hashlib
import hmac
import re
from urllib.parse import quote

_DECIDE = "decide-"
_ACT = "act-"
_COMPACT = "compact-"
_KEPT = "kept-"
_CHILD = "child-"
_OF_CHILD = re.compile(r"/child-\d+-\d+-[0-9a-f]{16}\Z")
_RECONCILE = "reconcile-"
_AUTHORIZE = "authorize-"
LAST_ANSWER = "last-answer"
"""The name of the hold that a run keeps back for its last answer."""
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_WIRE_LENGTH = 9
_LEDGER = "backstay-ledger"
_GRANTS = "backstay-grants"
_QUOTA = "backstay-quota-"
_CONTROL = "backstay-control"
_INCIDENT = "backstay-incident-"
_BREAKERS = "backstay-breakers"
_LONGEST_QUOTED = 600
_LONGEST_FAIR = 64
_LONGEST_PARENT = 700


def call_id(step: int, index: int) -> str:
    """Returns the id of a decision's `index`-th call; a model's own ids may repeat, this one does not."""
    return f"{step}-{index}"


def wire_id(call_id: str, again: int = 0) -> str:
    """Returns an id for a call that every model server takes: nine letters and digits.

    Args:
        call_id: the call's own id.
        again: how many ids of the call are taken already, because a server happened to give them to other calls.
    """
    number = int(_sha256(f"{call_id}\n{again}"), 16)
    return "".join(_LETTERS[number // len(_LETTERS) ** place % len(_LETTERS)] for place in range(_WIRE_LENGTH))


def decide_id(step: int) -> str:
    """Returns the activity id of a step's decision, which is the name of its hold too."""
    return f"{_DECIDE}{step}"


def compact_id(number: int) -> str:
    """Returns the activity id of a compaction of the conversation, which is the name of its hold too."""
    return f"{_COMPACT}{number}"


def compaction_key(run_key: str, number: int) -> str:
    """Returns the idempotency key of the request for a summary of the conversation."""
    return f"{run_key}/{compact_id(number)}"


def act_id(call_id: str) -> str:
    """Returns the activity id of a call, which is the name of its hold too."""
    return f"{_ACT}{call_id}"


def kept_id(call_id: str) -> str:
    """Returns the name of the hold that stays after a call, because nobody knows whether it happened."""
    return f"{_KEPT}{call_id}"


def child_hold(call_id: str) -> str:
    """Returns the name of the hold that a call's child run spends from."""
    return f"{_CHILD}{call_id}"


def child_id(parent: str, call_id: str, content: str) -> str:
    """Returns the workflow id of a call's child run: the same after a crash or a reset of its parent.

    After a reset of the run the model may ask for something else at the same place.

    Args:
        parent: the workflow id of the parent; where it is too long for an id, its digest stands for it.
        call_id: the call's own id.
        content: a `short_digest` of what the call asks for.
    """
    named = parent if len(parent.encode("utf-8", "surrogatepass")) <= _LONGEST_PARENT else _sha256(parent)
    return f"{named}/{_CHILD}{call_id}-{content}"


def is_child_id(workflow_id: str) -> bool:
    """Tells whether a workflow id is spelled as a `child_id`."""
    return _OF_CHILD.search(workflow_id) is not None


def reconcile_id(call_id: str) -> str:
    """Returns the id of the activity that asks what became of a call."""
    return f"{_RECONCILE}{call_id}"


def delegate_id(call_id: str) -> str:
    """Returns the id of the activity that asks what became of a call's child run."""
    return f"delegate-{call_id}"


def verify_id(number: int) -> str:
    """Returns the id of the activity that verifies the `number`-th proof sent to a run, counted from 1."""
    return f"verify-{number}"


def archive_id(number: int) -> str:
    """Returns the id of the activity that writes evidence of a run for the `number`-th time, counted from 1."""
    return f"archive-{number}"


def recall_id(number: int) -> str:
    """Returns the id of the activity that writes the `number`-th piece of the conversation into a link, from 1."""
    return f"recall-{number}"


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


def authorize_id(call_id: str) -> str:
    """Returns the id of the activity that asks for the verdicts over a call and its siblings."""
    return f"{_AUTHORIZE}{call_id}"


def is_authorize(activity_id: str) -> bool:
    """Tells whether an activity is one that an `authorize_id` names."""
    return activity_id.startswith(_AUTHORIZE)


def judge_now_id(call_id: str, number: int) -> str:
    """Returns the id of the activity that asks for the verdict over a change of a call, while a person waits for it.

    Args:
        call_id: the call.
        number: counts such questions of a run: several people may change one call at the same time.
    """
    return f"edit-{call_id}-{number}"


def decision_key(run_key: str, step: int) -> str:
    """Returns the idempotency key of a decision."""
    return f"{run_key}/{decide_id(step)}"


def call_key(run_key: str, call_id: str, content: str) -> str:
    """Returns the idempotency key of a call; `content` is a `short_digest` of what it asks for.

    After a reset of the run the model may ask for something else at the same place.
    """
    return f"{run_key}/{call_id}/{content}"


def effect_id(fleet_key: bytes, identity: bytes) -> str:
    """Returns the workflow id of a shared effect, which only the workers of the fleet can compute.

    Args:
        fleet_key: the secret of the fleet; without it anybody who may start workflows could occupy the id.
        identity: the RFC 8785 text of what makes calls identical.
    """
    return f"effect-{hmac.digest(fleet_key, identity, 'sha256').hex()}"


def approval_id(digest: str, asked_before: int) -> str:
    """Returns the id of an approval.

    Args:
        digest: that of the exact call.
        asked_before: how many approvals of the call came before.
    """
    exact = f"{digest}\n{asked_before}"
    return f"apr_{_sha256(exact)[:24]}"


def reserve_id(number: int) -> str:
    """Returns the id of the activity with which a run draws for the `number`-th time, counted from 0."""
    return f"reserve-{number}"


def enqueue_id(number: int) -> str:
    """Returns the id of the activity with which a run asks for the `number`-th time to go on, counted from 1."""
    return f"enqueue-{number}"


def meter_id(call_id: str, revision: int, content: str) -> str:
    """Returns the name of the hold with which ledgers count a call.

    After a reset of the run the model may ask for something else at the same place, and a call that was given up or
    changed is held anew.

    Args:
        call_id: the call's own id.
        revision: how often it was held before.
        content: a `short_digest` of what the call asks for.
    """
    return f"meter-{call_id}-{revision}-{content}"


def metering_id(call_id: str, revision: int) -> str:
    """Returns the id of the activity that asks ledgers to count a call and its siblings."""
    return f"meter-{call_id}-{revision}"


def hold_id(run_key: str, name: str) -> str:
    """Returns the id of the hold that a ledger makes for a run; `name` is that of the run's own draw or call."""
    return f"{run_key}/{name}"


def ledger_id(tenant: str | None) -> str:
    """Returns the workflow id of a tenant's ledger, or of the organisation's where there is no tenant.

    Letters beyond ASCII are quoted as in a URL; a name that is too long for an id ends in its digest.
    """
    return _LEDGER if tenant is None else f"{_LEDGER}-{_quoted(tenant)}"


def grants_id(tenant: str) -> str:
    """Returns the workflow id of a tenant's standing grants, spelled as a ledger's."""
    return f"{_GRANTS}-{_quoted(tenant)}"


def grant_id(approval_id: str, by: str, terms: str) -> str:
    """Returns the id of a standing grant: of the approval that it came with, who gave it, and what it allows."""
    exact = f"{approval_id}\n{by}\n{terms}"
    return f"grt_{_sha256(exact)[:24]}"


def use_id(call_id: str, content: str) -> str:
    """Returns the name of a call's use of a standing grant, which it asks for once.

    Args:
        call_id: the call's own id; after a reset of the run the model may ask for something else at the same place.
        content: a `short_digest` of what the call asks for.
    """
    return f"use-{call_id}-{content}"


def using_id(call_id: str) -> str:
    """Returns the id of the activity that asks for a call's use of a standing grant."""
    return f"use-{call_id}"


def giving_id(number: int) -> str:
    """Returns the id of the activity that gives the `number`-th standing grant of a run, counted from 1."""
    return f"give-{number}"


def is_kept_id(workflow_id: str) -> bool:
    """Tells whether a workflow id is kept for the control plane, breakers, ledgers, grants or rates: for no run."""
    alone = workflow_id in (_LEDGER, _CONTROL, _BREAKERS)
    return alone or workflow_id.startswith((f"{_LEDGER}-", f"{_GRANTS}-", _QUOTA, _INCIDENT))


def is_of_control(workflow_id: str) -> bool:
    """Tells whether a workflow is the control plane, a sweep or that of the breakers, which every fleet reads."""
    return workflow_id in (_CONTROL, _BREAKERS) or workflow_id.startswith(_INCIDENT)


def incident_workflow_id(incident: str) -> str:
    """Returns the id of the workflow that sweeps the runs in the scope of an incident."""
    return f"{_INCIDENT}{incident}"


def quota_id(account: str) -> str:
    """Returns the workflow id of the rate of a provider's account."""
    return f"{_QUOTA}{account}"


def account_of(workflow_id: str) -> str:
    """Returns the account that a `quota_id` names."""
    return workflow_id.removeprefix(_QUOTA)


def fairness_key(tenant: str) -> str:
    """Returns the key by which the engine shares a queue between tenants, at most 64 bytes."""
    if len(tenant.encode("utf-8", "surrogatepass")) <= _LONGEST_FAIR:
        return tenant
    return _sha256(tenant)


def short_digest(text: str) -> str:
    """Returns sixteen hexadecimal digits by which a worker recognises a text that the history records."""
    return _sha256(text)[:16]


def fingerprint(text: str) -> str:
    """Returns the digest by which a run notices that a call brought what it brought before."""
    return _sha256(text)[:32]


def _quoted(tenant: str) -> str:
    quoted = quote(tenant, safe="", errors="surrogatepass")
    if len(quoted) > _LONGEST_QUOTED:
        quoted = f"{quoted[:_LONGEST_QUOTED]}%%{_sha256(tenant)[:32]}"
    return quoted


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
