"""What must hold at the end, each as a function that returns what does not, in words that name the run."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from backstay.kernel.audit import AuditHead, verify
from backstay.kernel.meter import read_amount
from backstay.kernel.money import parse_usd
from backstay.kernel.stop import StopReason

from ..run_books import TOTALS, Tally
from .approvals import no_approval_is_released_twice_or_late
from .evidence import Evidence, Record, Seen, of_event, time_of
from .plans import SHARED
from .shop import Effect

TYPED_ENDS = ("IncidentStop",)
"""How runs may end without a result: a start that a stop refused."""
AT_THE_BOUNDARY = 4.5
"""The seconds after a stop in which an effect may still begin: the age of a worker's copy, and the time of a tool."""
UNREACHABLE = 5
"""The exit code of a worker that finds no server when it starts."""
KILLED = -9
FEW_ATTEMPTS = 3
KEY_OF_A_DAY = len("2026-11-30")


def every_run_has_a_typed_end_or_waits_for_a_person(found: Evidence) -> Iterator[str]:
    for run in found.late:
        yield f"{run} has not come to its end"
    for seen in found.seen:
        if seen.result is not None and seen.result.stop_reason not in set(StopReason):
            yield f"{seen.run} ended for an unknown reason: {seen.result.stop_reason}"
        if seen.ended is not None and seen.ended not in TYPED_ENDS:
            yield f"{seen.run} ended without a result: {seen.ended}"


def no_effect_happened_twice(found: Evidence) -> Iterator[str]:
    shared = Counter((one.tenant, one.tool, one.item) for one in found.effects if one.tool in SHARED)
    for (tenant, tool, item), count in shared.items():
        if count > 1:
            calls = sorted(f"{one.run} {one.call}" for one in found.effects if (one.tool, one.item) == (tool, item))
            yield f"{tool} {item} of {tenant} happened {count} times, by the calls {calls}"
    own = Counter((one.run, one.tool, one.item) for one in found.effects if one.tool not in (*SHARED, "look"))
    for (run, tool, item), count in own.items():
        if count > 1:
            keys = {one.key for one in found.effects if one.item == item}
            yield f"{run}: {tool} {item} happened {count} times, under {len(keys)} keys"


def no_effect_is_lost(found: Evidence) -> Iterator[str]:
    """What a run believes to be done was done; what was done no run believes undone."""
    items = {(one.tenant, one.tool, one.item) for one in found.effects}
    booked = {(one.run, one.call): one for one in found.effects if one.tool != "look"}
    for seen in found.seen:
        ends = {one["call_id"]: one for one in of_event(seen.audit, "call_ended")}
        for call_id, end in ends.items():
            item = seen.items.get(call_id)
            if end["outcome"] == "completed" and (seen.plan.tenant, end["tool"], item) not in items:
                yield f"{seen.run}: {end['tool']} {item} is said to be completed, and never happened"
        for (run, call_id), effect in booked.items():
            if run == seen.run and not seen.open and not _admits(ends.get(call_id)):
                yield f"{run}: {effect.tool} {effect.item} happened, and its end is {ends.get(call_id)}"


def _admits(end: Record | None) -> bool:
    """Tells whether the end of a call says that it happened, or may have."""
    return end is not None and (end["outcome"] in ("completed", "unknown") or end["unclear"])


def no_budget_is_exceeded(found: Evidence) -> Iterator[str]:
    for seen in found.seen:
        tally = Tally()
        for record in seen.audit:
            try:
                tally.add(record["event"], record["facts"])
            except (AssertionError, KeyError) as error:
                yield f"{seen.run}: record {record['seq']}, {record['event']}, does not fit: {error!r}"
                break
            if above := tally.excess():
                yield f"{seen.run}: spent + held exceeds {above} at record {record['seq']}"
        if seen.result is None:
            continue
        spent, limits = seen.result.spent, seen.result.budget
        for name in (*TOTALS, "seconds"):
            limit = getattr(limits, name)
            used = spent.input_tokens + spent.output_tokens if name == "tokens" else getattr(spent, name)
            if limit is not None and Decimal(used) > Decimal(limit):
                yield f"{seen.run}: {name} is {used} of {limit}"
        if tally.holds:
            yield f"{seen.run} holds {sorted(tally.holds)} after its end"
        if found.billed.get(seen.run, 0) > 4 * parse_usd(spent.usd):
            yield f"{seen.run} was billed {found.billed[seen.run] / 4} micro-dollars, and settled {spent.usd}"


def no_exposure_is_exceeded(found: Evidence) -> Iterator[str]:
    refunds = [one for one in found.effects if one.tool == "refund"]
    days = {datetime.fromtimestamp(one.at).date() for one in refunds}
    for tenant in {one.tenant for one in refunds}:
        total = sum(one.amount for one in refunds if one.tenant == tenant)
        if total > found.limits.refunds * len(days):
            yield f"{total} USD were refunded for {tenant}, and its day has {found.limits.refunds}"
    for seen in found.seen:
        mine = sum(one.amount for one in refunds if one.run == seen.run)
        if mine > found.limits.run:
            yield f"{seen.run} refunded {mine} USD, and a run has {found.limits.run}"
        counted = read_amount(seen.result.exposure["refunds_usd"]["run"]) if _counts(seen) and seen.result else None
        if counted is not None and counted < read_amount(mine):
            yield f"{seen.run} refunded {mine} USD, and counts {counted / 10_000}"


def _counts(seen: Seen) -> bool:
    return seen.result is not None and "refunds_usd" in seen.result.exposure


def no_ledger_is_exceeded(found: Evidence) -> Iterator[str]:
    for view in found.ledgers:
        tenant = view.ledger.tenant
        results = [one.result for one in found.seen if one.result and tenant in (None, one.plan.tenant)]
        yield from _sums(view, "usd", sum(parse_usd(one.spent.usd) for one in results), _most_usd(found, tenant))
        if tenant is not None:
            refunded = sum(one.amount for one in found.effects if (one.tool, one.tenant) == ("refund", tenant))
            least, most = read_amount(refunded), read_amount(found.limits.refunds)
            yield from _sums(view, "exposure:refunds_usd", least, most)


def _most_usd(found: Evidence, tenant: str | None) -> int | None:
    limits = {None: found.limits.organisation_usd, "acme": found.limits.acme_usd}
    return parse_usd(limits[tenant]) if tenant in limits else None


def _sums(view: Any, quantity: str, least: int, most: int | None) -> Iterator[str]:
    """Compares the sums of days with what was certainly spent, and with the most that may be."""
    sums = view.books.sums.by_account.get(view.books.level, {}).get(quantity, {})
    days = {key: one.used for key, one in sums.items() if len(key) == KEY_OF_A_DAY}
    if most is not None and any(used > most for used in days.values()):
        yield f"{view.ledger.words} has {days} of {quantity}, and the most is {most}"
    if most is not None and sum(days.values()) < least:
        yield f"{view.ledger.words} has {days} of {quantity}, and {least} were spent"


def no_more_runs_at_once_than_may_be(found: Evidence) -> Iterator[str]:
    moves: list[tuple[float, int, str]] = []
    for seen in found.seen:
        begun = [time_of(record) for record in seen.audit if record["event"] == "decision_held"]
        if seen.plan.tenant == "busy" and begun:
            over = [time_of(record) for record in seen.audit if record["event"] == "closed"]
            moves += [(begun[0], 1, seen.run), (over[0] if over else float("inf"), -1, seen.run)]
    together: set[str] = set()
    for _, move, run in sorted(moves):
        together = together | {run} if move > 0 else together - {run}
        if len(together) > found.limits.at_once:
            yield f"{sorted(together)} went on at once, and {found.limits.at_once} may"


def audit_chains_are_whole(found: Evidence) -> Iterator[str]:
    for seen in found.seen:
        head = verify(seen.audit)
        if seen.result is not None and head != AuditHead(seen.result.audit.records, seen.result.audit.head):
            yield f"{seen.run}: its audit leads to {head}, and its result says {seen.result.audit}"
        elif not isinstance(head, AuditHead):
            yield f"{seen.run}: its audit is broken: {head}"


def nothing_is_stuck(found: Evidence) -> Iterator[str]:
    for seen in found.seen:
        yield from (f"{seen.run}: a workflow task failed: {why}" for why in seen.failed_tasks)
        if seen.task > FEW_ATTEMPTS:
            yield f"{seen.run} is at attempt {seen.task} of a workflow task"
        if seen.pending and not seen.open:
            yield f"{seen.run} left {seen.pending} behind"
    for other in found.others:
        yield from (f"{other.workflow_id}: a workflow task failed: {why}" for why in other.failed_tasks)
        if other.state in ("failed", "timed_out"):
            yield f"{other.workflow_id} of type {other.kind} has {other.state}"


def who_stands_still_does_nothing(found: Evidence) -> Iterator[str]:
    for seen in found.seen:
        still: set[str] = set()
        for record in seen.audit:
            match record["event"]:
                case "paused" | "frozen" as why:
                    still.add(why)
                case "resumed":
                    still.discard("paused")
                case "thawed":
                    still.discard("frozen")
                case "decision_held" if still:
                    yield f"{seen.run} decides at record {record['seq']}, and is {sorted(still)}"
                case _:
                    pass


def no_run_fails_where_it_has_to_wait(found: Evidence) -> Iterator[str]:
    """A stop, or a control plane that was lost, is waited for however long it lasts."""
    for seen in found.seen:
        detail = (seen.result.stop_detail or "") if seen.result and seen.result.status == "failed" else ""
        if "control plane" in detail or " is stopped by " in detail:
            yield f"{seen.run} failed, and had to wait: {detail}"


def no_effect_begins_while_it_is_stopped(found: Evidence) -> Iterator[str]:
    for closed in found.closed:
        until = closed.until or float("inf")
        for effect in found.effects:
            inside = closed.since + AT_THE_BOUNDARY < effect.at < until
            if inside and effect.tool != "look" and _covers(closed.scope, effect):
                late = effect.at - closed.since
                yield f"{effect.run}: {effect.tool} {effect.item} began {late:.1f} s after {closed.why}"


def _covers(scope: str, effect: Effect) -> bool:
    kind, _, name = scope.partition(":")
    return kind == "all" or (kind, name) in {("agent", effect.agent), ("tenant", effect.tenant), ("tool", effect.tool)}


def no_worker_ends_by_itself(found: Evidence) -> Iterator[str]:
    for code, words in found.ends:
        if code not in (KILLED, UNREACHABLE):
            yield f"a worker ended by itself with {code}: {words}"


CHECKS: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    every_run_has_a_typed_end_or_waits_for_a_person,
    no_effect_happened_twice,
    no_effect_is_lost,
    no_budget_is_exceeded,
    no_exposure_is_exceeded,
    no_ledger_is_exceeded,
    no_more_runs_at_once_than_may_be,
    no_approval_is_released_twice_or_late,
    audit_chains_are_whole,
    nothing_is_stuck,
    who_stands_still_does_nothing,
    no_run_fails_where_it_has_to_wait,
    no_effect_begins_while_it_is_stopped,
    no_worker_ends_by_itself,
)


def violations(found: Evidence) -> list[str]:
    """Returns everything that does not hold."""
    return [f"{check.__name__}: {text}" for check in CHECKS for text in check(found)]
