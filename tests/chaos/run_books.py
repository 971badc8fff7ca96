"""Compares the spend that a run reports with the books of everybody it dealt with."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from backstay.adapters.engine.asking import queried
from backstay.contracts.budget import Spent
from backstay.contracts.run import RunResult
from backstay.kernel.audit import AuditHead, verify
from backstay.kernel.budget import Amount
from backstay.kernel.keys import LAST_ANSWER
from backstay.kernel.money import parse_usd
from backstay.kernel.stop import StopReason

from .provider import Account

UNANSWERED = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)
TOTALS = ("steps", "model_calls", "tool_calls", "tokens", "usd")


@dataclass(frozen=True, slots=True)
class Effect:
    """Holds a deed of a tool, as it noted it itself; `usd` is micro-dollars of a call, `once` that it may not recur."""

    tool: str
    key: str
    once: bool
    usd: int = 0


@dataclass(slots=True)
class Ended:
    """A run that is over: what it says of itself, and the activities that it left behind."""

    result: RunResult
    pending: list[str]
    audit: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


async def result_of(handle: WorkflowHandle[Any, Any], seed: str) -> RunResult:
    """The end of a run, which is a RunResult whatever happened."""
    try:
        given = await handle.result()
    except WorkflowFailureError as error:
        if not isinstance(error.cause, ApplicationError) or not error.cause.details:
            error.add_note(f"{handle.id}, seed {seed}: {(await handle.fetch_history()).to_json()}")
            raise
        given = error.cause.details[0]
    return RunResult.model_validate(given)


async def audit_of(handle: WorkflowHandle[Any, Any]) -> list[dict[str, Any]]:
    """The whole audit; asked again where the worker that remembered the run has died."""
    audit: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        try:
            page = await queried(handle, "audit", [{"after": after}], timedelta(seconds=10))
        except RPCError as error:
            if error.status not in UNANSWERED:
                raise
            continue
        audit, after = audit + page["items"], page["next"]
    return audit


@dataclass(slots=True)
class Tally:
    """Spend and holds, added up from the audit alone."""

    limits: Mapping[str, Any] = field(default_factory=dict[str, Any])
    spent: Amount = field(default_factory=Amount)
    holds: dict[str, Amount] = field(default_factory=dict[str, Amount])
    decisions: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    starts: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    tools_usd: int = 0

    def add(self, event: str, facts: Mapping[str, Any]) -> None:
        """Takes one record; a settlement without a hold is a KeyError."""
        match event:
            case "admitted" | "granted":
                self.limits = facts["limits"]
            case "decision_held":
                self.decisions[f"decide-{facts['step']}"] = facts
                self.holds.pop(LAST_ANSWER, None)
                self._hold(f"decide-{facts['step']}", Amount(**facts["amount"]))
                if facts["last_answer"] is not None:
                    self._hold(LAST_ANSWER, Amount(**facts["last_answer"]))
            case "decision_settled":
                self.holds.pop(f"decide-{facts['step']}")
                self.spent += Amount(**facts["amount"])
            case "call_held":
                self._hold(facts["call_id"], self._call(facts))
                self.starts.setdefault(facts["tool"], []).append(facts["at_ms"])
            case "call_ended":
                self.holds.pop(facts["call_id"])
                if facts["outcome"] != "denied":
                    self.spent += self._call(facts)
                    self.tools_usd += facts["usd"]
            case "call_released":
                self.holds.pop(facts["call_id"])
            case "closed":
                self.holds.pop(LAST_ANSWER, None)
            case _:
                pass

    def excess(self) -> list[str]:
        """The dimensions in which spent + held is above its limit now."""
        total = sum(self.holds.values(), self.spent)
        above = [
            name for name in TOTALS if self.limits.get(name) is not None and getattr(total, name) > self.limits[name]
        ]
        for tool, limit in self.limits.get("tools", {}).items():
            times = self.starts.get(tool, [])
            busiest = max((sum(at - 60_000 < earlier <= at for earlier in times) for at in times), default=0)
            most, rate = limit["calls"], limit["per_minute"]
            above += [tool] if most is not None and total.tools.get(tool, 0) > most else []
            above += [f"{tool}:per_minute"] if rate is not None and busiest > rate else []
        return above

    def _hold(self, name: str, amount: Amount) -> None:
        assert name not in self.holds
        self.holds[name] = amount

    @staticmethod
    def _call(facts: Mapping[str, Any]) -> Amount:
        return Amount(tool_calls=1, usd=facts["usd"], tools={facts["tool"]: 1})


Promise = tuple[bool, str]
"""A promise: true where it holds, and the words for where it does not."""


def wrongs(run: Ended, account: Account, effects: Sequence[Effect]) -> list[str]:
    """Returns the broken promises of one run, in words."""
    tally, found = Tally(), list[str]()
    for record in run.audit:
        tally.add(record["event"], record["facts"])
        if above := tally.excess():
            found.append(f"spent + held exceeds {above} at record {record['seq']}")
    spent = run.result.spent
    promises = (
        *_the_bill_is_settled(spent, account, tally),
        *_holds_bound_requests(account, tally),
        *_spend_is_within(run.result),
        *_effects_are_settled(spent, effects, tally),
        *_the_audit_tells_the_same(run, tally),
        *_it_came_to_an_end(run),
    )
    return found + [said for holds, said in promises if not holds]


def _the_bill_is_settled(spent: Spent, account: Account, tally: Tally) -> Iterator[Promise]:
    micros = parse_usd(spent.usd) - tally.tools_usd
    yield account.usd <= micros, f"{account.usd} micro-dollars billed, and {micros} settled for requests"
    for name in ("input_tokens", "output_tokens"):
        billed, settled = getattr(account, name), getattr(spent, name)
        yield billed <= settled, f"{billed} {name} billed, and {settled} settled"
    requests = len(account.bills)
    yield requests <= spent.model_calls, f"{requests} requests billed, and {spent.model_calls} settled"
    told = micros - parse_usd(spent.usd_unbilled)
    yield told <= account.usd, f"{told} micro-dollars are said to be billed, and {account.usd} were"


def _holds_bound_requests(account: Account, tally: Tally) -> Iterator[Promise]:
    for decision, tokens in account.asked:
        bound = tally.decisions[decision]["input_tokens"]
        yield tokens <= bound, f"{decision} asks with {tokens} input tokens, and {bound} are held"


def _spend_is_within(result: RunResult) -> Iterator[Promise]:
    spent, limits = result.spent, result.budget
    for name in (*TOTALS, "seconds"):
        limit = getattr(limits, name)
        used = spent.input_tokens + spent.output_tokens if name == "tokens" else getattr(spent, name)
        yield limit is None or Decimal(used) <= Decimal(limit), f"{name}: {used} of {limit}"
    for name, limit in limits.tools.items():
        used = spent.tools.get(name, 0)
        yield limit.calls is None or used <= limit.calls, f"{name}: {used} calls of {limit.calls}"


def _effects_are_settled(spent: Spent, effects: Sequence[Effect], tally: Tally) -> Iterator[Promise]:
    for (tool, key), count in Counter((effect.tool, effect.key) for effect in effects if effect.once).items():
        yield count == 1, f"{tool} happened {count} times under the key {key}"
    calls = {effect.key: effect for effect in effects}.values()
    for tool, count in Counter(effect.tool for effect in calls).items():
        yield count <= spent.tools.get(tool, 0), f"{tool} happened {count} times, and {spent.tools.get(tool, 0)} count"
    cost = sum(effect.usd for effect in calls)
    yield cost <= tally.tools_usd, f"{cost} micro-dollars cost the tools, and {tally.tools_usd} are settled for them"


def _the_audit_tells_the_same(run: Ended, tally: Tally) -> Iterator[Promise]:
    spent = run.result.spent
    yield tally.spent.usd == parse_usd(spent.usd), "the audit settles another sum than the result"
    yield dict(tally.spent.tools) == spent.tools, "the audit settles other calls than the result"
    yield not tally.holds, f"held after the end: {list(tally.holds)}"
    head = AuditHead(run.result.audit.records, run.result.audit.head)
    yield verify(run.audit) == head, "the audit's chain is broken"


def _it_came_to_an_end(run: Ended) -> Iterator[Promise]:
    reason, detail = run.result.stop_reason, run.result.stop_detail or ""
    yield reason in set(StopReason), f"no stop reason: {reason}"
    yield not detail.endswith(":overbilled"), f"a bill within its hold is said to be above it: {detail}"
    yield not run.pending, f"still running: {run.pending}"
