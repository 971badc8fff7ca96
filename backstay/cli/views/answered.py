"""Says what an answer of a person did, and who may answer where theirs does not count."""

from datetime import datetime

from backstay.contracts.approval import EditResult, GrantedVoteResult, PendingApproval, VoteResult
from backstay.kernel.characters import escaped

from ..shell.terminal import word

_TAKEN = {
    "approve": "approved: the call goes ahead",
    "deny": "denied: the call is not made, and the model is told",
    "happened": "answered: the run takes the call as made",
    "not_happened": "answered: the run makes the call",
    "stop": "answered: the run ends",
}


def taken(answer: VoteResult | EditResult, said: str, required: int | None, run_id: str) -> str:
    """Says what an answer did.

    Args:
        answer: the run's reply.
        said: `approve`, `deny`, or the answer about a lost call or to a question.
        required: how many people must say yes.
        run_id: the run.
    """
    if isinstance(answer, EditResult):
        again = answer.replaced_by and f"backstay approve {word(run_id)} {word(answer.replaced_by)}"
        return f"changed: policy says {answer.outcome}" + (f"; it waits for others: {again}" if again else "")
    if isinstance(answer, GrantedVoteResult):
        grant = answer.grant
        ends = f"until {datetime.fromisoformat(grant.until).astimezone():%Y-%m-%d %H:%M}"
        return f"{_TAKEN[said]}; {grant.uses} more go through {ends}: backstay grants revoke {word(grant.id)} -r WHY"
    if answer.state == "open":
        return f"counted: {len(answer.answered_by)} of {required or 'several'}"
    return _TAKEN.get(said, "answered: the model is told")


def who_instead(approval: PendingApproval, line: str) -> str:
    """Says who may answer, with the command that one of them types.

    Args:
        approval: what waits for an answer.
        line: the command that was typed, without a name.
    """
    if not approval.approvers:
        return f"nobody else may answer: name more people in {', '.join(map(escaped, approval.groups))}"
    *others, last = map(escaped, approval.approvers)
    people = f"{', '.join(others)} or {last}" if others else last
    return f"let {people} answer: {line} --by {word(approval.approvers[0])}"
