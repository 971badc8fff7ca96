"""Takes a run from a link of its chain into the next: what it knows, and its conversation, which is recorded anew."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.approval import LATEST
from backstay.contracts.carried_call import CarriedCall
from backstay.contracts.carry import Carried, CarriedApprovals
from backstay.contracts.recall import Recalled, RecallInput
from backstay.kernel.approval import Approval
from backstay.kernel.keys import recall_id

from .. import options
from .approve import Approvals
from .archive import Archiving
from .chain import Chain
from .draw import Purse
from .family import Family
from .ledgers import RunLedgers
from .live import Context, LiveRun
from .meters import Meters
from .news import News
from .prove import Proofs
from .reports import RunReports
from .words import summary

KEPT_APPROVALS = 50
"""The latest closed approvals that a run takes along, so that a late answer to one is told so; the audit has all."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Holds the parts of an admitted run that know something which its next link must know."""

    run: LiveRun
    approvals: Approvals
    ledgers: RunLedgers
    archiving: Archiving
    purse: Purse
    meters: Meters

    async def settled(self) -> None:
        """Waits until nothing that they have begun is under way; messages are taken meanwhile."""
        await self.approvals.announced()
        await self.approvals.standing.told()
        await self.ledgers.told()
        await self.archiving.part()


@dataclass(frozen=True, slots=True)
class Watchers:
    """Holds the parts of every run that know something which its next link must know."""

    chain: Chain
    proofs: Proofs
    family: Family
    reports: RunReports


def carried_from(parts: Parts, watchers: Watchers) -> Carried:
    """Returns all that the next link must know; nothing is under way."""
    run, record = parts.run, parts.run.record
    approvals = _kept(run.state.approvals)
    facts = run.clock.carried()
    return Carried.model_validate(
        {
            "admission": run.admission,
            "state": replace(run.state, approvals=approvals),
            "audit": record.audit,
            "items": record.said,
            "news": asdict(run.telling or run.news),
            "calls": run.parked.carried(),
            "approvals": CarriedApprovals(**parts.approvals.carried(approvals)),
            "last_decision": run.last_decision,
            "ledgers": parts.ledgers.known,
            "draws": parts.purse.asked,
            "labels": sorted(run.labels),
            "link": watchers.chain.link + 1,
            "begun_ms": watchers.chain.begun_ms,
            "decided": run.decided,
            "people": list(record.people),
            "refused": list(record.refused),
            "proofs": watchers.proofs.carried(),
            "happened": parts.meters.happened_since,
            "paused_by_parent": watchers.family.paused_by_parent,
            "reports": watchers.reports.carried(run.parked.proposed),
            "archive": parts.archiving.carried(),
            "context": asdict(run.context),
            "dry": parts.purse.dry,
            "asking": run.parked.asking or run.left,
            **facts,
        }
    )


def carry_on(parts: Parts, carried: Carried) -> None:
    """Lets the parts of an admitted run go on where the link before has left off."""
    run = parts.run
    run.news = News(**dict(carried.news))
    run.context = Context(**dict(carried.context))
    run.link = carried.link
    run.last_decision, run.decided = carried.last_decision, carried.decided
    run.labels, run.left = set(carried.labels), carried.asking
    parts.approvals.carry_on(carried.approvals)
    parts.archiving.carry_on(carried.archive)
    parts.ledgers.know(carried.ledgers)
    parts.purse.asked, parts.purse.dry = carried.draws, carried.dry
    parts.meters.happened_since = list(carried.happened)


async def recall(run: LiveRun, calls: Sequence[CarriedCall] = ()) -> Mapping[str, str] | None:
    """Has the conversation so far written into this link's own history.

    Args:
        run: the run.
        calls: those of the decision in progress.

    Returns:
        The recorded results of calls that no decision was told yet, by call; None where the run was interrupted.

    Raises:
        ApplicationError: of type `HistoryGone`: the engine has forgotten the link before, and with it what was said.
    """
    after, number, more = 0, 1, True
    ended = [told for call in calls if (told := call.as_told) is not None]
    results: dict[str, str] = {}
    while more:
        given = RecallInput(
            step=run.decided,
            decision=run.last_decision,
            observations=[*(seen for seen in run.news.observations if seen.text is None), *ended],
            after=after,
        )
        how: ActivityConfig = {
            **options.RECALL,
            "activity_id": recall_id(number),
            "summary": summary("link", f"the conversation so far, from item {after + 1}"),
        }
        try:
            piece = await run.running.execute(names.RECALL, given, Recalled, how)
        except ActivityError as error:
            if run.record.over:
                return None
            raise (error.cause if isinstance(error.cause, ApplicationError) else error) from None
        results |= piece.results
        after, number, more = after + len(piece.items) + len(piece.results), number + 1, piece.more
    return results


def _kept(approvals: Mapping[str, Approval]) -> dict[str, Approval]:
    closed = [one.approval_id for one in approvals.values() if one.end is not None]
    forgotten = frozenset(closed[: -max(LATEST, KEPT_APPROVALS)])
    return {key: one for key, one in approvals.items() if key not in forgotten}
