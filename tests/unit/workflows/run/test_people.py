"""The page of a run says who did what, and what to send in place of a refused message."""

from backstay.contracts.deeds import Deed, RefusedMessage
from backstay.contracts.run import RunRequest
from backstay.kernel.approval import Approval, ApprovalEnd, ApprovalKind
from backstay.kernel.events import ApprovalEnded, ApprovalOpened, ApprovalVoted, Killed, MessageRefused
from workflows.run.live import LiveRun
from workflows.run.page import Latest, details
from workflows.run.people import people
from workflows.run.record import Record
from workflows.run.report import status_of

ASKED = Approval("apr_1", ApprovalKind.ACTION, "1-0", "pay", "sha256:d", ("finance",), {"finance": ("ann", "bo")})


def test_the_page_and_the_status_name_who_did_what_and_why(run: LiveRun, record: Record) -> None:
    record.apply(ApprovalOpened(ASKED))
    record.apply(ApprovalVoted("apr_1", "ann", "fine [here](http://x.example)"))
    record.apply(ApprovalEnded("apr_1", ApprovalEnd.APPROVED, "ann"))
    record.apply(Killed("olga", "enough"))
    record.apply(MessageRefused("approve", "NotInGroup", "eve"))
    status = status_of(record, run.clock, run)
    at = "2026-05-01T12:00:00.000Z"
    assert status.people == [
        Deed(at=at, by="ann", did="approved", approval_id="apr_1", tool="pay", comment="fine [here](http://x.example)"),
        Deed(at=at, by="olga", did="killed", comment="enough"),
    ]
    [refused] = status.refused
    assert (refused.at, refused.message, refused.by) == (at, "approve", "eve")
    page = details("r1", RunRequest(goal="Refund"), status, Latest())
    assert f"- {at} · ann approved pay: `fine [here](http://x.example)`" in page
    assert f"- {at} · olga killed: enough" in page
    assert f"- {at} · `approve` by eve: NotInGroup. Instead: let one of the approval's `approvers` answer" in page


def test_a_page_of_a_run_that_nobody_touched_has_no_such_lines(run: LiveRun, record: Record) -> None:
    assert people(status_of(record, run.clock, run)) == []


def test_only_the_latest_are_shown_and_long_comments_are_cut(run: LiveRun, record: Record) -> None:
    for _ in range(60):
        record.apply(Killed("olga", "x" * 500))
        record.apply(MessageRefused("pause", "InvalidMessage"))
    status = status_of(record, run.clock, run)
    assert (len(status.people), len(status.refused)) == (50, 50)
    lines = people(status)
    assert len(lines) == 2 * 13
    assert all(len(line) < 300 for line in lines)
    assert isinstance(status.refused[0], RefusedMessage)
