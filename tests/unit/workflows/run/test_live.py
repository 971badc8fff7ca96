"""Nothing that a part of a run remembers may be forgotten between two links of its chain."""

from dataclasses import fields

import pytest

from backstay.contracts.carry import Carried, CarriedApprovals, CarriedContext, CarriedNews
from backstay.contracts.decision import Observation
from backstay.contracts.status import PageRequest
from workflows.run.appeal import Appeals
from workflows.run.approve import Approvals
from workflows.run.archive import Archiving
from workflows.run.calls import Calls
from workflows.run.delegate import Children
from workflows.run.draw import Purse
from workflows.run.family import Family
from workflows.run.hold import HoldParts
from workflows.run.ledgers import RunLedgers
from workflows.run.live import Context, LiveRun
from workflows.run.messages import Messages
from workflows.run.meters import Meters
from workflows.run.news import News
from workflows.run.prove import Proofs
from workflows.run.publish import Publisher
from workflows.run.report import standing_of
from workflows.run.reports import RunReports

REQUEST = "the input of the next link"
MADE_ANEW = "is made anew, and wired to the other parts"
NONE_UNDER_WAY = "nothing is under way between two links"
FOUND_ANEW = "is found anew where somebody asks"
READ_BACK = "pages of earlier links are read from their own histories"
PUBLISHED_AGAIN = "is published in the first task of the next link, the memo even where it is empty"
ONLY_REPLAYED = "is false only in the replay of a link that began under older code"
ONE_LINK = "counts the messages of one link, as the engine does"
FOR_THE_PAGE = "is shown on the page of one link, and no decision depends on it"
TOLD_IN_EACH = "stands in the audit once in each link, which harms nobody"
AT_THE_END = "is set where the run ends, and no link follows then"

PARTS = {
    "run": {
        "request": REQUEST,
        "admission": "admission",
        "record": MADE_ANEW,
        "clock": MADE_ANEW,
        "running": MADE_ANEW,
        "news": "news",
        "last_decision": "last_decision",
        "decided": "decided",
        "context": "context",
        "answer": AT_THE_END,
        "link": "link",
        "labels": "labels",
        "servers": TOLD_IN_EACH,
        "told": FOR_THE_PAGE,
        "judging": NONE_UNDER_WAY,
        "judged_now": NONE_UNDER_WAY,
        "knows_all": ONLY_REPLAYED,
        "_key": FOUND_ANEW,
        "early": NONE_UNDER_WAY,
        "parked": "calls",
        "left": "asking",
        "telling": "news",
    },
    "record": {
        "state": "state",
        "audit": "audit",
        "asked": "approvals.calls",
        "closed": AT_THE_END,
        "troubles": NONE_UNDER_WAY,
        "model_trouble": NONE_UNDER_WAY,
        "people": "people",
        "refused": "refused",
        "_now": MADE_ANEW,
        "_run_id": MADE_ANEW,
        "_request": REQUEST,
        "_limits": MADE_ANEW,
        "_last_stop": AT_THE_END,
        "_strongest": FOUND_ANEW,
        "_waiting": FOUND_ANEW,
        "_child_waits": FOUND_ANEW,
        "_records": READ_BACK,
        "_items": "items",
        "quiet": MADE_ANEW,
        "_heeding": MADE_ANEW,
        "_following": MADE_ANEW,
    },
    "clock": {
        "excludes_waiting": "admission",
        "wait_at_most": "admission",
        "_closes": MADE_ANEW,
        "_deadline_at": "deadline_ms",
        "_deadline_of": MADE_ANEW,
        "_record": MADE_ANEW,
        "_now": MADE_ANEW,
        "_started": "started_ms",
        "_waited": "waited_ms",
        "_frozen": "frozen_ms",
        "_queued": "queued_ms",
        "_stopped_at": AT_THE_END,
    },
    "running": {"_record": MADE_ANEW, "_priority": REQUEST, "_handles": NONE_UNDER_WAY},
    "publisher": {
        "_request": REQUEST,
        "_standing": MADE_ANEW,
        "_has_attributes": MADE_ANEW,
        "_left": MADE_ANEW,
        "_due": NONE_UNDER_WAY,
        "_state": PUBLISHED_AGAIN,
        "_pending": PUBLISHED_AGAIN,
        "_usd_step": PUBLISHED_AGAIN,
        "_memo": PUBLISHED_AGAIN,
        "_held": PUBLISHED_AGAIN,
    },
    "calls": {
        "_run": MADE_ANEW,
        "_approvals": MADE_ANEW,
        "_parts": MADE_ANEW,
        "_children": MADE_ANEW,
        "_room": NONE_UNDER_WAY,
        "_together": ONLY_REPLAYED,
    },
    "children": {
        "_run": MADE_ANEW,
        "_spec": "admission",
        "_room": NONE_UNDER_WAY,
        "_shares": NONE_UNDER_WAY,
        "_orders": NONE_UNDER_WAY,
    },
    "appeals": {"_run": MADE_ANEW, "_approvals": MADE_ANEW, "_asking": NONE_UNDER_WAY},
    "ledgers": {"_run": MADE_ANEW, "_known": "ledgers", "_freed": NONE_UNDER_WAY, "_telling": NONE_UNDER_WAY},
    "meters": {
        "_run": MADE_ANEW,
        "_ledgers": MADE_ANEW,
        "_counted": "admission",
        "revisions": "calls",
        "happened_since": "happened",
    },
    "purse": {
        "_run": MADE_ANEW,
        "_draws": "admission",
        "_ledgers": MADE_ANEW,
        "asked": "draws",
        "dry": "dry",
    },
    "proofs": {
        "_record": MADE_ANEW,
        "_clock": MADE_ANEW,
        "_running": MADE_ANEW,
        "_asked": ONE_LINK,
        "_doubts": "proofs",
        "_used": "proofs",
        "_heard": "proofs",
        "stance": "admission",
    },
    "family": {
        "children": MADE_ANEW,
        "paused_by_parent": "paused_by_parent",
        "_record": MADE_ANEW,
        "_clock": MADE_ANEW,
        "_messages": MADE_ANEW,
        "_parent": REQUEST,
        "_waits": "state",
        "_telling": NONE_UNDER_WAY,
    },
    "reports": {
        "_run_id": MADE_ANEW,
        "_request": REQUEST,
        "_tell": MADE_ANEW,
        "_model": "state",
        "_codes": "reports",
        "_costs": "reports",
        "_last_failure": "reports",
        "_happened": MADE_ANEW,
    },
    "archiving": {
        "_run": MADE_ANEW,
        "_kept": "archive",
        "_items": "archive",
        "_asked": ONE_LINK,
        "_tried": "archive",
        "_task": NONE_UNDER_WAY,
    },
    "messages": {
        "_record": MADE_ANEW,
        "_clock": MADE_ANEW,
        "_problems": REQUEST,
        "_proofs": MADE_ANEW,
        "signals": ONE_LINK,
        "updates": ONE_LINK,
    },
    "approvals": {
        "_run": MADE_ANEW,
        "_calls": "approvals.calls",
        "_opened": "approvals.opened",
        "_edits": NONE_UNDER_WAY,
        "_holds": "calls",
        "_answers": "approvals.answers",
        "_forms": NONE_UNDER_WAY,
        "_notices": NONE_UNDER_WAY,
        "_reminded": "approvals.reminded",
        "_left": "state",
        "standing": MADE_ANEW,
    },
    "standing": {
        "_run": MADE_ANEW,
        "_drawn": "calls",
        "_given": ONE_LINK,
        "giving": NONE_UNDER_WAY,
        "_freed": NONE_UNDER_WAY,
        "_telling": NONE_UNDER_WAY,
    },
}
"""For each attribute of each part: the field of `Carried` that holds it, or why none does."""

FIELDS = {
    *Carried.model_fields,
    *(f"approvals.{name}" for name in CarriedApprovals.model_fields),
}


ABOUT_THE_LINK = {"begun_ms", "frozen_since_ms", "waited_since_ms"}
"""What no part remembers as it stands: when the chain began, and stretches under way."""


def messages_of(run: LiveRun) -> Messages:
    return Messages(run.record, run.clock, [], Proofs(run.record, run.clock, run.running, None))


@pytest.mark.parametrize("part", PARTS)
def test_every_attribute_is_carried_or_says_why_not(part: str, run: LiveRun) -> None:
    approvals, ledgers = Approvals(run), RunLedgers(run)
    purse, meters, appeals = Purse(run, ledgers), Meters(run, ledgers), Appeals(run, approvals)
    parts = {
        "run": run,
        "record": run.record,
        "clock": run.clock,
        "running": run.running,
        "publisher": Publisher(run.request, lambda: standing_of(run.record), lambda: True),
        "calls": Calls(run, approvals, HoldParts(purse, meters, appeals, approvals.standing), Children(run)),
        "children": Children(run),
        "appeals": appeals,
        "ledgers": ledgers,
        "meters": meters,
        "purse": purse,
        "proofs": Proofs(run.record, run.clock, run.running, None),
        "family": Family(run.record, run.clock, messages_of(run), None),
        "reports": RunReports("run", run.request, lambda _: None),
        "archiving": Archiving(run),
        "messages": messages_of(run),
        "approvals": approvals,
        "standing": approvals.standing,
    }
    assert set(vars(parts[part])) == set(PARTS[part])


def test_every_field_holds_what_some_part_remembers() -> None:
    named = {where for part in PARTS.values() for where in part.values()}
    assert FIELDS - {"approvals"} - ABOUT_THE_LINK <= named
    assert set(CarriedNews.model_fields) == {field.name for field in fields(News)}
    assert set(CarriedContext.model_fields) == {field.name for field in fields(Context)}


def test_a_result_is_told_to_the_model_and_stands_in_the_transcript(run: LiveRun) -> None:
    run.observe(Observation(call_id="1-0", digest="d"), "look", "17 orders", "completed")
    assert [one.call_id for one in run.news.observations] == ["1-0"]
    (item,) = run.record.items(PageRequest()).items
    assert (item["kind"], item["tool"], item["text"], item["status"]) == ("result", "look", "17 orders", "completed")
