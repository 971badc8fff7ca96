"""Judges the calls of past runs by a candidate: with the arguments, facts, sums, sources and consents of then.

What neither history nor archive tells is not guessed: where the verdict depends on it, nobody knows how the candidate
decides.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from backstay.adapters.engine.history import RunHistory
from backstay.app import folders
from backstay.contracts.decision import ProposedCall
from backstay.contracts.policy import AuthorizeInput, PolicyCall
from backstay.errors import HistoryError
from backstay.kernel.origins import Origins
from backstay.kernel.verdict import Code, Outcome, Verdict
from backstay.ports import Tool

from .candidate import Candidate
from .past_runs import PastRun, Question

CACHE_BYTES = 64_000_000
BY_NO_RULE = frozenset(
    {Code.UNKNOWN_TOOL, Code.INVALID_ARGS, Code.INVALID_EXPOSURE, Code.SCHEMA_DRIFT, Code.TOOL_BLOCKED}
)
"""The codes of calls that were refused before any rule was asked: no other rules would have let them through."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A past call as it was decided, and as the candidate decides it.

    Attributes:
        was: the recorded verdict.
        now: the candidate's verdict; None where nobody knows it.
        why: what keeps anybody from knowing it.
    """

    run_id: str
    step: int
    call_id: str
    tool: str
    was: Verdict
    now: Verdict | None
    why: str = ""

    @property
    def changed(self) -> bool:
        """Tells whether the candidate decides otherwise: another outcome, or other people are asked."""
        if self.now is None:
            return False
        if self.now.outcome is not self.was.outcome:
            return True
        return self.now.outcome is Outcome.REQUIRE_APPROVAL and sorted(self.now.groups) != sorted(self.was.groups)

    @property
    def opens(self) -> bool:
        """Tells whether the candidate allows what was denied."""
        return self.now is not None and (self.was.outcome, self.now.outcome) == (Outcome.DENY, Outcome.ALLOW)


_Judged = tuple[ProposedCall, Tried]


class AgainstPast:
    """Tries a candidate on past runs."""

    def __init__(self, candidate: Candidate, conversations: "folders.conversation.Conversations | None" = None) -> None:
        """Prepares it.

        Args:
            candidate: the rules, and the agents that they are for.
            conversations: tells what the runs had read, where their histories are there.
        """
        self._candidate = candidate
        self._conversations = conversations
        self._seen: set[tuple[object, ...]] = set()

    async def tried(self, run: PastRun, since: int = 0, agent: str | None = None) -> list[Tried]:
        """Judges the calls of one link of a run; a call that was judged several times is told once.

        A run that was reset has two links with the same beginning, which is told once too.

        Args:
            run: the link.
            since: leaves out what was judged before, in seconds since the epoch.
            agent: leaves out the calls of other agents.
        """
        if run.trouble:
            return [
                Tried(run.ref.workflow_id, one.step, one.call.call_id, one.call.tool, one.verdict, None, run.trouble)
                for one in run.calls
            ]
        found: dict[tuple[str, str], list[Tried]] = {}
        here: set[tuple[object, ...]] = set()
        for question in run.questions:
            if question.given.now < since or agent not in (None, question.given.agent):
                continue
            if run.archived:
                question = self._as_admitted(question)
            before = await self._before(run, question)
            # In a thread: facts are anybody's functions, and Ctrl-C has to end those that never return.
            for call, one in await asyncio.to_thread(self._judged, run, question, before):
                key = (run.ref.workflow_id, call.call_id, call.content, question.given.now, one.was.digest)
                here.add(key)
                if key not in self._seen:
                    found.setdefault((call.call_id, call.content), []).append(one)
        self._seen |= here
        return [_most_telling(each) for each in found.values()]

    def _as_admitted(self, question: Question) -> Question:
        """Returns a question as if its run had been admitted with the candidate's tools; digests tell if it was."""
        tools = self._candidate.digests(question.given.agent)
        return replace(question, given=question.given.model_copy(update={"tools": tools}))

    async def _before(self, run: PastRun, question: Question) -> "folders.past.Before | None":
        """Returns what the run had read when it proposed the calls; None where no rule wants it, or nobody knows."""
        given = question.given
        if self._conversations is None or run.archived or not self._traces(given):
            return None
        try:
            return await self._conversations.before(run.ref, given.facts.step, given.decision)
        except (HistoryError, ApplicationError):
            return None

    def _judged(self, run: PastRun, question: Question, before: "folders.past.Before | None") -> list[_Judged]:
        """Judges the calls of a question; those before a call count for it as they were decided then."""
        tally, step, judged = folders.exposure.Tally(question.given), question.given.facts.step, list[_Judged]()
        for call, was in zip(question.given.calls, question.verdicts, strict=True):
            past = _Past(run, tally.question(), call, was, before)
            found = question.unknown if question.unknown and was.code not in BY_NO_RULE else self._verdict(past)
            now, why = (found, "") if isinstance(found, Verdict) else (None, found)
            judged.append((call, Tried(run.ref.workflow_id, step, call.call_id, call.tool, was, now, why)))
            tally.count(call.call_id, was)
        return judged

    def _verdict(self, past: "_Past") -> Verdict | str:
        """Returns the candidate's verdict over a call, or why nobody knows it."""
        given, call, was = past.given, past.call, past.was
        if was.code in BY_NO_RULE:
            return was
        if was.code is Code.POLICY_ERROR and not was.rules:
            return "policy failed on it then, and no rule decided"
        for agent in _whose_rules(given):
            if not self._candidate.serves(agent):
                return f"the candidate has no agent `{agent}`"
        tool = self._candidate.tool(given.agent, call.tool)
        if tool is None:
            return f"the candidate's agent `{given.agent}` has no tool `{call.tool}`"
        if tool.spec.digest != given.tools.get(call.tool):
            return f"the tool `{call.tool}` has changed since then"
        if not past.fits:
            return f"the tool `{call.tool}` has changed since then, or the run was in another namespace"
        known = was.origins or given.origins.get(call.call_id)
        found = self._reviewed(past, {call.call_id: known} if known else {})
        if isinstance(found, str):
            return found
        verdict, judged = found
        if lacking := self._unrecorded(past, judged, tool):
            return f"its rules read {', '.join(lacking)}, which the {past.run.source} does not tell"
        if known is not None and past.before is not None:
            anew = self._reviewed(past, {})
            if isinstance(anew, str) or anew[0].outcome is not verdict.outcome:
                return "registers, roles or accepted sources of the candidate say otherwise where its values come from"
        return verdict

    def _reviewed(self, past: "_Past", origins: dict[str, Origins]) -> tuple[Verdict, PolicyCall] | str:
        """Returns the verdict over a call and the call as rules saw it, or why there is none.

        Args:
            past: the call.
            origins: where its values come from; where it is not there, it is found in what the run had read.
        """
        candidate = self._candidate
        if self._traces(past.given) and past.before is None and not origins:
            return (
                f"its rules read where values come from, and the {past.run.source} does not tell what the run had read"
            )
        reviewer = folders.review.Reviewer(candidate, candidate.gate, engine=candidate.engine)
        reviewed = reviewer.review(past.given.model_copy(update={"origins": origins}), past.call, past.before)
        if isinstance(reviewed.fault, KeyboardInterrupt | SystemExit):
            raise reviewed.fault
        if reviewed.call is None or reviewed.fault is not None:
            return f"it cannot be judged here: {reviewed.verdict.message}"
        if dict(reviewed.verdict.exposure) != dict(past.was.exposure):
            return "what it adds to meters is not what was recorded"
        return reviewed.verdict, reviewed.call

    def _traces(self, given: AuthorizeInput) -> bool:
        """Tells whether rules over calls read where values come from."""
        return any(self._candidate.gate.sourcing(agent) is not None for agent in _whose_rules(given))

    def _unrecorded(self, past: "_Past", judged: PolicyCall, tool: Tool) -> list[str]:
        """Names what rules over a call depend on and its history does not tell."""
        each = (self._lacking(past, replace(judged, agent=agent), tool) for agent in _whose_rules(past.given))
        return list(dict.fromkeys(name for names in each for name in names))

    def _lacking(self, past: "_Past", judged: PolicyCall, tool: Tool) -> list[str]:
        """Names what the rules of one agent depend on and the history of a call does not tell."""
        bundle = self._candidate.gate.bundle(judged.agent)
        evaluation = folders.judge.evaluation_of(bundle, judged)
        if isinstance(evaluation, Verdict):
            return []
        rules = evaluation.covering(bundle.enforced)

        def read(*path: str) -> bool:
            return any(rule.reads.depends_on(path) for rule in rules)

        same = self._candidate.same_code(past.given)
        facts = [] if same else [one for one in tool.spec.facts if read("facts", one)]
        # Whatever the same tools add to a meter was counted then.
        fed = set[str]() if same else {name for other in bundle.tools.values() for name in other.exposure}
        uncounted = [name for name in sorted(fed - past.counted) if read("exposure", name, "run")]
        sums = [
            (name, period.value)
            for name, periods in sorted(bundle.schema.counted.items())
            for period in periods
            if period not in judged.counted.get(name, {}) and read("exposure", name, period.value)
        ]
        return [
            *(f"the fact `{name}` of a tool that may have changed" for name in facts),
            *(f"the sum of `{name}`" for name in uncounted),
            *(f"the sum of `{name}` by {period}" for name, period in sums),
        ]


@dataclass(frozen=True, slots=True)
class _Past:
    """A call of a run, the question that it was part of, its verdict, and what the run had read; None is unknown."""

    run: PastRun
    given: AuthorizeInput
    call: ProposedCall
    was: Verdict
    before: "folders.past.Before | None"

    @property
    def fits(self) -> bool:
        """Tells whether the recorded verdict is over exactly this call, of a tool with exactly this schema."""
        return not self.run.archived or self.was.digest == folders.review.digest_of(
            self.given, self.call, self.was.origins
        )

    @property
    def counted(self) -> frozenset[str]:
        """The meters that are known to have been counted."""
        admitted = self.run.admission.exposure if self.run.admission else {}
        return frozenset([*admitted, *self.given.facts.exposure, *self.was.exposure])


def _whose_rules(given: AuthorizeInput) -> list[str]:
    """Lists the agents whose rules judge a call: its own, and those of the runs above."""
    return [given.agent, *(one.agent for one in given.above)]


def _most_telling(each: Sequence[Tried]) -> Tried:
    """Returns the first that is decided otherwise, else the first that nobody knows."""
    unknown = (one for one in each if one.now is None)
    return next((one for one in each if one.changed), None) or next(unknown, each[0])


def conversations_of(client: Client, task_queue: str) -> "folders.conversation.Conversations":
    """Returns a reader of what the runs of a task queue had read."""
    return folders.conversation.Conversations(RunHistory(client, task_queue), CACHE_BYTES)


_LOOSER: Mapping[tuple[Outcome, Outcome], int] = {
    (Outcome.DENY, Outcome.ALLOW): 0,
    (Outcome.DENY, Outcome.REQUIRE_APPROVAL): 1,
    (Outcome.REQUIRE_APPROVAL, Outcome.ALLOW): 2,
    (Outcome.REQUIRE_APPROVAL, Outcome.REQUIRE_APPROVAL): 3,
    (Outcome.ALLOW, Outcome.REQUIRE_APPROVAL): 4,
    (Outcome.REQUIRE_APPROVAL, Outcome.DENY): 5,
    (Outcome.ALLOW, Outcome.DENY): 6,
}


def loosest_first(tried: Sequence[Tried]) -> list[Tried]:
    """Returns the calls that are decided otherwise, what was denied and is allowed before all others."""
    changed = [(_LOOSER[one.was.outcome, one.now.outcome], one) for one in tried if one.changed and one.now is not None]
    return [one for _, one in sorted(changed, key=lambda pair: pair[0])]
