"""Reviews a call, here and nowhere else: does it fit its tool, and what does policy say?"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from backstay.contracts.decision import ProposedCall
from backstay.contracts.delegate import Above
from backstay.contracts.policy import AuthorizeInput, Consent, PolicyCall
from backstay.contracts.problems import summary
from backstay.errors import UnservedError, UnservedToolError
from backstay.kernel.approval import names_of
from backstay.kernel.arguments import Unreadable
from backstay.kernel.control import InForce
from backstay.kernel.counted import sums_with
from backstay.kernel.mentions import Match
from backstay.kernel.origins import Origins
from backstay.kernel.scope import Subject
from backstay.kernel.sourcing import Sourcing
from backstay.kernel.tool_names import unknown_tool
from backstay.kernel.verdict import Code, Outcome, Verdict, narrower
from backstay.ports import Control, Gate, Tool, Tools
from backstay.tools.facts import NAMED_BY_USER, NAMED_WEAKLY, named_arguments
from backstay.tools.local_addresses import LOCAL_ADDRESSES, local_addresses

from .brief import BriefReviews
from .canonical import canonical
from .exposure import UncountableError, added, exposure_of
from .past import ORIGINS_BYTES, Asked, Before
from .threads import ReviewThreads

REVIEW_SECONDS = 3.0
"""The limit for all calls of a decision, below that of the local activity that asks."""

MESSAGE_CHARACTERS = 1_000
_STUCK = "earlier reviews of this tool still work: none is begun before they end"
REASON_CHARACTERS = 500
ALL_ORIGINS_BYTES = 600_000
_IDENTITY_DIGITS = 32
_NOTHING_IN_FORCE = InForce()


@dataclass(frozen=True, slots=True)
class Fitting:
    """A call that fits its tool: its arguments as JSON, and in the tool's own types."""

    tool: Tool
    arguments: dict[str, Any]
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The verdict over a call, and how the review came to it.

    Attributes:
        fitting: the call in its tool's types; None where it does not fit.
        call: the call as policy saw it; None where policy was not asked.
        fault: what kept policy from a verdict; its text may repeat values of the call.
        identity: a digest, equal for calls that the tool cannot tell apart; empty where none was asked for.
    """

    verdict: Verdict
    fitting: Fitting | None = None
    call: PolicyCall | None = None
    fault: BaseException | None = None
    identity: str = ""

    def identified(self) -> "Reviewed":
        """Returns this with the identity of the call; it stays empty where the call does not fit its tool."""
        if self.fitting is None:
            return self
        tool, values, arguments = self.fitting.tool, self.fitting.values, self.fitting.arguments
        try:
            spelled = canonical([tool.spec.name, tool.identity(values, arguments)])
        except Exception:  # a type of the tool's own may refuse to be written, in any way
            return self
        return replace(self, identity=hashlib.sha256(spelled).hexdigest()[:_IDENTITY_DIGITS])


class Reviewer:
    """Checks calls before `authorize` records a verdict, again just before the side effect, and in what-ifs."""

    def __init__(self, tools: Tools, gate: Gate, control: Control = _NOTHING_IN_FORCE, engine: str = "") -> None:
        """Prepares reviews.

        Args:
            tools: the tools of the worker's agents.
            gate: policy.
            control: tells which tools are blocked; default: none.
            engine: the host of the Temporal server, which no tool should reach; empty where none is known.
        """
        self._tools = tools
        self._gate = gate
        self._control = control
        self._engine = engine
        self._threads = ReviewThreads()
        self._brief = BriefReviews(tools, gate)

    def check_served(self, given: AuthorizeInput, calls: Iterable[ProposedCall]) -> None:
        """Checks that this worker serves the agent, and the tools of some calls as they were admitted.

        Raises:
            UnservedError: it does not; another worker may, so nothing is judged here.
        """
        for agent in (given.agent, *(one.agent for one in given.above)):
            if not self._tools.serves(agent):
                raise UnservedError(agent)
        for call in () if given.any_tool else calls:
            tool, admitted = self._tools.tool(given.agent, call.tool, given.version), given.tools.get(call.tool)
            if admitted is not None and (tool is None or tool.spec.digest != admitted):
                raise UnservedToolError(given.agent, call.tool)

    async def in_time(
        self, given: AuthorizeInput, calls: Sequence[ProposedCall], review: Callable[[ProposedCall], Reviewed]
    ) -> list[Reviewed]:
        """Reviews calls in a thread, so that no other run waits for it; the time runs once the thread does.

        Only a review that is known to be brief is made at once.

        Args:
            given: the question.
            calls: the calls, which are reviewed one after the other.
            review: reviews one call, with `review` of this class.

        Returns:
            What was found of each, in the order asked. Those that three seconds leave are refused.
        """
        if (brief := self.in_brief(given, calls, review)) is not None:
            return brief
        found: list[Reviewed] = []
        late = threading.Event()

        def work() -> None:
            with self._brief.timed(given.agent):
                for call in calls:
                    if late.is_set():
                        return
                    stuck = self._threads.is_stuck(given.agent, call.tool)
                    found.append(self._refused(given, call, Code.POLICY_ERROR, _STUCK) if stuck else review(call))

        def at() -> str | None:
            return calls[len(found)].tool if len(found) < len(calls) else None

        try:
            await self._threads.work(given.agent, work, REVIEW_SECONDS, at)
        finally:
            late.set()
        done = found[: len(calls)]
        message = f"the review took longer than {REVIEW_SECONDS:g} seconds"
        return [*done, *(self._refused(given, call, Code.POLICY_ERROR, message) for call in calls[len(done) :])]

    def in_brief(
        self, given: AuthorizeInput, calls: Sequence[ProposedCall], review: Callable[[ProposedCall], Reviewed]
    ) -> list[Reviewed] | None:
        """Reviews calls at once, on the worker's loop; None where that is not known to be brief."""
        if not self._brief.has(given, calls):
            return None
        with self._brief.timed(given.agent):
            return [review(call) for call in calls]

    def traces(self, given: AuthorizeInput, calls: Iterable[ProposedCall]) -> bool:
        """Tells whether rules read where values come from, and that is not known of some calls yet."""
        known = self._sourcing(given) is None
        return not known and any(call.call_id not in given.origins for call in calls)

    def review(self, given: AuthorizeInput, call: ProposedCall, before: Before | None = None) -> Reviewed:
        """Reviews one call; any failure on the way is a refusal.

        Args:
            given: the question.
            call: the call.
            before: what its run had read, where that has to be known.
        """
        fitting = self._fitting(given, call)
        if isinstance(fitting, Reviewed):
            return fitting
        digest = _digest(given, call, fitting.arguments)
        if block := self._control.blocked(Subject(given.run_id, given.agent, given.tenant, tool=call.tool)):
            message = f"the tool is blocked by {block.told.by}: {block.told.reason}"
            return Reviewed(self._denied(given, Code.TOOL_BLOCKED, digest, message), fitting)
        try:
            origins = self._origins(given, call, fitting, before)
        except BaseException as error:  # what a text holds must never let a call through
            message = f"where its values come from cannot be told: {type(error).__name__}"
            return Reviewed(self._denied(given, Code.POLICY_ERROR, digest, message), fitting, fault=error)
        return self._judged(given, call, fitting, _covering(digest, origins), origins)

    def measured(self, given: AuthorizeInput, call: ProposedCall) -> Reviewed:
        """Finds out what one call adds to meters; policy is not asked, so that the verdict is a refusal."""
        fitting = self._fitting(given, call)
        if isinstance(fitting, Reviewed):
            return fitting
        digest = _digest(given, call, fitting.arguments)
        try:
            exposure = exposure_of(fitting.tool, fitting.values)
        except BaseException as error:  # a function of anybody's, which may raise anything
            return Reviewed(self._denied(given, Code.INVALID_EXPOSURE, digest, str(error)), fitting, fault=error)
        refusal = self._denied(given, Code.NOT_PERMITTED, digest, "policy was not asked")
        return Reviewed(replace(refusal, exposure=exposure), fitting)

    def _fitting(self, given: AuthorizeInput, call: ProposedCall) -> Fitting | Reviewed:
        """Returns the call in its tool's types, or the refusal of one that does not fit."""
        tool = self._tools.tool(given.agent, call.tool, given.version)
        if tool is None or call.tool not in given.tools:
            known = (self._tools.tool(given.agent, name, given.version) for name in given.tools)
            there = [one.spec.shown_as for one in known if one]
            return self._refused(given, call, Code.UNKNOWN_TOOL, unknown_tool(call.tool, there))
        arguments = call.parsed
        if isinstance(arguments, Unreadable):
            return self._refused(given, call, Code.INVALID_ARGS, arguments.problem)
        if tool.spec.digest != given.tools[call.tool]:
            return self._refused(given, call, Code.SCHEMA_DRIFT, "the tool has changed since the run was admitted")
        values = tool.typed(arguments)
        if isinstance(values, list):
            return self._refused(given, call, Code.INVALID_ARGS, summary(values))
        return Fitting(tool, arguments, values)

    def members(self, agent: str, verdicts: Iterable[Verdict], above: Sequence[Above] = ()) -> dict[str, list[str]]:
        """Returns the members of every group that some verdicts ask for.

        Args:
            agent: the agent.
            verdicts: the verdicts.
            above: the agents of runs above.
        """
        groups = names_of([spec for verdict in verdicts for spec in verdict.groups])
        return {group: self._members(group, (agent, *(one.agent for one in above))) for group in groups}

    def _members(self, group: str, agents: Sequence[str]) -> list[str]:
        """Returns the people of a group; where several agents have one of that name, those that are in all of them."""
        each = [found for agent in agents if (found := self._gate.members(agent, group))]
        return [person for person in each[0] if all(person in other for other in each)] if each else []

    def _sourcing(self, given: AuthorizeInput) -> Sourcing | None:
        """Returns what is known of values; None where neither the agent's rules read that, nor those of runs above."""
        for agent, version in _whose_rules(given):
            if (found := self._gate.sourcing(agent, version)) is not None:
                return found
        return None

    def _origins(
        self, given: AuthorizeInput, call: ProposedCall, fitting: Fitting, before: Before | None
    ) -> Origins | None:
        """Returns where the values of a call come from, as it was found before or is found now.

        Raises:
            LookupError: rules read it, and nobody knows what the run has read.
        """
        sourcing = self._sourcing(given)
        if sourcing is None:
            return None
        known = given.origins.get(call.call_id)
        if known is None and before is None:
            raise LookupError("what the run has read is unknown")
        if known is not None or before is None:
            return known
        asked = Asked(call, fitting.tool.spec, fitting.arguments, fitting.values)
        return before.origins(asked, sourcing, min(ORIGINS_BYTES, ALL_ORIGINS_BYTES // max(1, len(given.calls))))

    def _judged(
        self, given: AuthorizeInput, call: ProposedCall, fitting: Fitting, digest: str, origins: Origins | None
    ) -> Reviewed:
        try:
            exposure = exposure_of(fitting.tool, fitting.values)
            asked = replace(self._policy_call(given, call, fitting, digest), origins=origins)
            if exposure:
                counted = sums_with(asked.counted, exposure)
                asked = replace(asked, exposure=added(given.facts.exposure, exposure), counted=counted)
            verdict = _bounded(self._narrowest(given, asked))
            # Only people read the quotes.
            told = origins if origins is None or verdict.outcome is Outcome.REQUIRE_APPROVAL else origins.unquoted()
            return Reviewed(replace(verdict, exposure=exposure, origins=told), fitting, asked)
        except UncountableError as error:
            return Reviewed(self._denied(given, Code.INVALID_EXPOSURE, digest, str(error)), fitting, fault=error)
        except BaseException as error:  # a fact is anybody's function, and may raise anything
            message = f"policy failed: {type(error).__name__}"
            return Reviewed(self._denied(given, Code.POLICY_ERROR, digest, message), fitting, fault=error)

    def _narrowest(self, given: AuthorizeInput, asked: PolicyCall) -> Verdict:
        """Judges a call by the agent's rules, and by those of every run above."""
        verdict = self._gate.judge(asked)
        for one in given.above:
            verdict = narrower(verdict, self._gate.judge(replace(asked, agent=one.agent, version=one.version)))
        return verdict

    def _policy_call(self, given: AuthorizeInput, call: ProposedCall, fitting: Fitting, digest: str) -> PolicyCall:
        tool = fitting.tool
        return PolicyCall(
            agent=given.agent,
            tenant=given.tenant,
            tool=tool.spec,
            arguments=tool.held(fitting.values),
            facts=self._facts(given, fitting),
            run=given.facts,
            now=given.now,
            digest=digest,
            requested_by=given.requested_by,
            consent=given.consents.get(call.call_id, Consent()),
            version=given.version,
            exposure=given.facts.exposure,
            counted=given.counted.get(call.call_id, {}),
        )

    def _facts(self, given: AuthorizeInput, fitting: Fitting) -> dict[str, Any]:
        """Computes the facts that a rule reads, and no other: some cost time, and any may fail."""

        def wanted(fact: str) -> bool:
            return any(self._gate.reads_fact(agent, fact, version) for agent, version in _whose_rules(given))

        named = {
            fact: named_arguments(given.goal, fitting.arguments, fitting.values, how)
            for fact, how in ((NAMED_BY_USER, Match.FULL), (NAMED_WEAKLY, Match.WEAK))
            if wanted(fact)
        }
        if wanted(LOCAL_ADDRESSES):
            named[LOCAL_ADDRESSES] = local_addresses(fitting.arguments, self._engine)
        return {**fitting.tool.facts(fitting.values, wanted), **named}

    def _refused(self, given: AuthorizeInput, call: ProposedCall, code: Code, message: str) -> Reviewed:
        """Refuses a call that does not fit a tool; its digest is of the arguments' text, unread."""
        text = call.arguments.encode("utf-8", "surrogatepass")
        digest = _digest(given, call, {"unread": hashlib.sha256(text).hexdigest()})
        return Reviewed(self._denied(given, code, digest, message))

    def _denied(self, given: AuthorizeInput, code: Code, digest: str, message: str) -> Verdict:
        return _bounded(Verdict(Outcome.DENY, code, digest, self._gate.version(given.agent), message=message))


def _whose_rules(given: AuthorizeInput) -> list[tuple[str, str]]:
    """Lists the agents whose rules judge a call, each with its version."""
    return [(given.agent, given.version), *((one.agent, one.version) for one in given.above)]


def _bounded(verdict: Verdict) -> Verdict:
    """Cuts the words of a verdict to what a history should hold; rules and groups stay whole."""
    return replace(
        verdict,
        message=verdict.message[:MESSAGE_CHARACTERS],
        reasons=tuple(reason[:REASON_CHARACTERS] for reason in verdict.reasons),
        observed=verdict.observed[:REASON_CHARACTERS],
    )


def digest_of(given: AuthorizeInput, call: ProposedCall, origins: Origins | None) -> str | None:
    """Returns the digest in the verdict over a call that fits its tool; None where its arguments cannot be read.

    Args:
        given: the question.
        call: the call.
        origins: where its values come from; None where no rule read that.
    """
    arguments = call.parsed
    return None if isinstance(arguments, Unreadable) else _covering(_digest(given, call, arguments), origins)


def _covering(digest: str, origins: Origins | None) -> str:
    """Digests a call and where its values come from: an approval is for both."""
    if origins is None:
        return digest
    facts = asdict(origins.unquoted())
    del facts["within"]  # digests of before it was told stay what they are
    return "sha256:" + hashlib.sha256(canonical([digest, _plain(facts)])).hexdigest()


def _plain(value: object) -> object:
    """Returns a value with lists for its tuples, as JSON gives them back."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in cast("dict[str, object]", value).items()}
    return [_plain(one) for one in cast("tuple[object, ...]", value)] if isinstance(value, tuple) else value


def _digest(given: AuthorizeInput, call: ProposedCall, arguments: dict[str, Any]) -> str:
    """Digests the exact call: run, step, call, tool, tool schema, canonical arguments."""
    exact = {
        "run": given.run_key,
        "step": given.facts.step,
        "call": call.call_id,
        "tool": call.tool.encode("utf-8", "replace").decode(),
        "schema": given.tools.get(call.tool),
        "arguments": arguments,
    }
    return "sha256:" + hashlib.sha256(canonical(exact)).hexdigest()
