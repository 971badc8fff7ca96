"""Takes grants: members of the group in `[approval] budget` raise limits of the run, up to its ceilings."""

from backstay.contracts.messages import Grant
from backstay.kernel.approval import Refusal
from backstay.kernel.events import Granted
from backstay.kernel.grant import raised, refuses

from .live import LiveRun

_ENDS = Refusal("RunEnds", "the run comes to its end: its limits stay")
_OLD = Refusal("NoGroup", "the run was admitted before limits could be raised")


def granted(run: LiveRun | None, grant: Grant) -> Granted | Refusal:
    """Returns what a grant does to the run, or why it does not count; `run` is None before the admission."""
    if run is None or run.record.over or run.record.closed:
        return _ENDS
    ceilings, approval = run.admission.ceilings, run.admission.approval
    if ceilings is None:
        return _OLD
    if refusal := refuses(grant.by, approval.budget_members, run.request.requested_by):
        return refusal
    added = grant.budget.limits()
    after = raised(run.state.budget.limits, added, ceilings)
    return after if isinstance(after, Refusal) else Granted(grant.by, grant.reason, added, after)
