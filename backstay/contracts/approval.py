"""A pending approval as people see it, and what answering it returns."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from backstay.kernel.approval import Approval, names_of
from backstay.kernel.characters import escaped
from backstay.kernel.excerpt import SHOWN, excerpts
from backstay.kernel.grantable import Grantable

from .exposure import ShownExposure
from .problems import Contract
from .standing import GrantCap, GrantView

MEMO_KEY = "backstay.approvals"
WRITTEN_BY = "backstay.written_by"
"""The memo's key for the engine's id of the execution that wrote it, which nobody knows who writes a start."""
MEMO_ARGUMENTS = 1_000
MEMO_APPROVALS = 20
MEMO_BYTES = 32_000
MEMO_NAMES = 10
MEMO_REASONS = 5
MEMO_TEXT = 200
LATEST = 5
"""The calls approved before that are shown beside an approval."""
_SPELLED = re.compile(r"(?<!\\)(?:\\\\)*\\[bfru]")
"""A control character as JSON spells it, but a line break and a tab."""


def _is_none(value: object) -> bool:
    return value is None


class Approved(Contract):
    """A call that people approved before in the same run; `call` is an excerpt.

    Attributes:
        approval_id: the approval.
        call: what was approved, as an excerpt.
        answered_by: who approved it.
    """

    approval_id: str
    call: str
    answered_by: list[str]


class AskingRun(Contract):
    """The run that asks: who it works for, what it has read and spent, and what people approved in it before.

    `approved` counts all approvals before, `approved_before` holds the latest five. `requested_by` is a claim.

    Attributes:
        run_id: the run's id.
        agent: the agent's name.
        tenant: for whom the run works.
        requested_by: who asked for the run.
        taint: what the run has read, such as `untrusted`.
        spent_usd: what the run has spent, in USD.
        approved: how many calls people approved before in the same run.
        approved_before: the latest of them.
        parent: the run that this one is a child of; null where it is none.
    """

    run_id: str = ""
    agent: str = ""
    tenant: str = ""
    requested_by: str | None = None
    taint: list[str] = Field(default_factory=list[str])
    spent_usd: str = "0.00"
    approved: int = 0
    approved_before: list[Approved] = Field(default_factory=list[Approved])
    parent: Annotated[str | None, Field(exclude_if=_is_none)] = None


class PendingApproval(AskingRun):
    """One open approval, with everything a person needs to decide; times are RFC 3339 in UTC.

    `cut` names the fields that a memo does not hold whole, or with other characters: `args.body`, `reasons`.

    Attributes:
        approval_id: derived from the digest, so that an answer releases the shown call only.
        kind: `action` asks to release a call, `exposure` one that takes a meter above its limit, `outcome_unknown`
            what became of one, `question` for the answer to a question of the model, `budget` for more of a budget.
        tool: the tool to be called.
        args: the exact arguments.
        digest: the digest of the exact call.
        groups: the groups that are asked.
        required: how many people must approve.
        answered_by: who has approved so far.
        approvers: the people who may answer.
        rules: the ids of the rules that ask.
        reasons: what these rules say.
        requested_at: when the approval opened.
        expires_at: when it ends by itself.
        cut: fields that are not shown whole.
        exposure: the sum of each meter before and after the call and its limit: of the run, and of the tenant's day
            and month where they are counted.
        grantable: what a yes may grant beyond this call, as `uses` and `hours`; null where it may grant nothing.
        sources: where the value of each argument comes from, in the words that rules read; empty where none reads them.
        copied: parts of texts that are copied from results with a label, by argument.
        within: the fields of values that stand in results with a label alone, by argument.
    """

    approval_id: str
    kind: Literal["action", "outcome_unknown", "question", "budget", "exposure"]
    tool: str
    args: dict[str, Any]
    digest: str
    groups: list[str]
    required: int
    answered_by: list[str]
    approvers: list[str] = Field(default_factory=list[str])
    rules: list[str]
    reasons: list[str]
    requested_at: str
    expires_at: str
    cut: list[str] = Field(default_factory=list[str])
    exposure: dict[str, ShownExposure] = Field(default_factory=dict[str, ShownExposure])
    grantable: GrantCap | None = None
    sources: dict[str, list[str]] = Field(default_factory=dict[str, list[str]])
    copied: dict[str, list[str]] = Field(default_factory=dict[str, list[str]])
    within: dict[str, list[str]] = Field(default_factory=dict[str, list[str]])

    @property
    def releases(self) -> bool:
        """True where a yes lets the run go on as it wants to."""
        return self.kind in ("action", "exposure", "budget")

    @classmethod
    def of(cls, approval: Approval, args: dict[str, Any], run: AskingRun | None = None) -> "PendingApproval":
        """Returns the kernel's approval together with the arguments it is about, and the run that asks."""
        return cls(
            **(run or AskingRun()).model_dump(),
            approval_id=approval.approval_id,
            kind=approval.kind.value,
            tool=approval.tool,
            args=args,
            digest=approval.digest,
            groups=names_of(approval.groups),
            required=approval.required,
            answered_by=list(approval.answered_by),
            approvers=approval.approvers,
            rules=list(approval.rules),
            reasons=list(approval.reasons),
            requested_at=_stamp(approval.requested_at_ms),
            expires_at=_stamp(approval.expires_at_ms),
            exposure={
                name: ShownExposure.of(one).over_many_runs(approval.counted.get(name, {}))
                for name, one in approval.exposure.items()
            },
            grantable=_cap(approval.grantable),
            sources={name: list(words) for name, words in approval.sources.items()},
            copied={name: list(quotes) for name, quotes in approval.copied.items()},
            within={name: list(words) for name, words in approval.within.items()},
        )


class Notice(Contract):
    """The message a webhook gets about an approval; `end` says how it closed, `text` is the card to show to people.

    Attributes:
        event: what happened to the approval.
        run_id: the run's id.
        agent: the agent's name.
        tenant: for whom the run works.
        approval: the approval itself.
        end: how it closed.
        text: the card to show to people.
    """

    event: Literal["opened", "expiring", "closed"]
    run_id: str
    agent: str
    tenant: str
    approval: PendingApproval
    end: str | None = None
    text: str = ""


class VoteResult(Contract):
    """The answer to approve, deny and answer; `open` where more people are needed.

    Attributes:
        approval_id: the approval.
        state: `open` where more people are needed.
        answered_by: who has answered so far.
    """

    approval_id: str
    state: Literal["closed", "open"]
    answered_by: list[str]


class GrantedVoteResult(VoteResult):
    """The answer to an `approve` with a `grant`.

    Attributes:
        grant: the standing grant as it was given.
    """

    grant: GrantView


class EditResult(Contract):
    """The answer to edit: the verdict over the edited call, and the approval it now waits for, if any.

    Attributes:
        approval_id: the approval that was edited.
        outcome: the verdict over the edited call.
        replaced_by: the approval that the edited call waits for now.
    """

    approval_id: str
    outcome: Literal["allow", "deny", "require_approval"]
    replaced_by: str | None


def memo_of(pending: Sequence[PendingApproval]) -> list[dict[str, Any]]:
    """Returns open approvals small enough for a memo: at most 20, arguments cut to 1 kB, 32 kB in all.

    Each names under `cut` what is not as it was. Temporal's interface shows memos, so nothing in them steers a reader.
    """
    entries: list[dict[str, Any]] = []
    room = MEMO_BYTES
    for approval in pending[:MEMO_APPROVALS]:
        entry = _brief(approval)
        room -= _bytes(entry)
        if room < 0:
            break
        entries.append(entry)
    return entries


def _brief(approval: PendingApproval) -> dict[str, Any]:
    whole: dict[str, Any] = approval.model_dump()
    brief: dict[str, Any] = {**whole, "tool": escaped(approval.tool)[:MEMO_TEXT], "approved_before": []}
    for field in ("approvers", "answered_by", "rules", "groups", "taint"):
        brief[field] = [escaped(name)[:MEMO_TEXT] for name in whole[field][:MEMO_NAMES]]
    brief["reasons"] = [escaped(reason)[:MEMO_TEXT] for reason in approval.reasons[:MEMO_REASONS]]
    brief["args"] = _arguments(approval.args)
    for field in ("sources", "copied", "within"):
        brief[field] = whole[field] if _bytes(whole[field]) <= MEMO_ARGUMENTS and not _steers(whole[field]) else {}
    cut = [f"args.{name}" for name, value in approval.args.items() if brief["args"].get(name) != value]
    cut += [field for field in whole if field not in ("args", "cut") and brief[field] != whole[field]]
    brief["cut"] = [escaped(name)[:MEMO_TEXT] for name in cut[:MEMO_NAMES]]
    return brief


def _cap(offered: Grantable | None) -> GrantCap | None:
    return None if offered is None else GrantCap(uses=offered.cap.uses, hours=offered.cap.hours)


def _arguments(args: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments as they are, where they are short and steer nobody; else excerpts, as many as fit."""
    if _bytes(args) <= MEMO_ARGUMENTS and not _steers(args):
        return args
    ranked, kept = sorted(args.items(), key=lambda item: _bytes(item[1])), dict[str, Any]()
    for shown in (SHOWN, SHOWN // 4, SHOWN // 10):
        kept = {escaped(name)[:MEMO_TEXT]: _excerpt(name, value, shown) for name, value in ranked}
        if _bytes(kept) <= MEMO_ARGUMENTS:
            return kept
    fitting: dict[str, Any] = {}
    for name, value in kept.items():
        if _bytes({**fitting, name: value}) <= MEMO_ARGUMENTS:
            fitting[name] = value
    return fitting


def _excerpt(name: str, value: Any, shown: int) -> Any:
    [short] = excerpts({name: value}, shown)
    return value if short.whole and not _steers(value) else short.text


def _steers(value: Any) -> bool:
    text = json.dumps(value, ensure_ascii=False)
    return escaped(text) != text or _SPELLED.search(text) is not None


def _bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def _stamp(milliseconds: int) -> str:
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
