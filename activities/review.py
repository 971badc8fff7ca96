"""Reviews a call, here and nowhere else: does it fit its tool, and what does policy say?"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, cast

import rfc8785

from backstay.contracts.decision import ProposedCall
from backstay.contracts.policy import AuthorizeInput, Consent, PolicyCall
from backstay.contracts.problems import summary
from backstay.kernel.approval import names_of
from backstay.kernel.arguments import Unreadable
from backstay.kernel.verdict import Code, Outcome, Verdict
from backstay.ports import Gate, Tool, Tools
from backstay.tools.facts import NAMED_BY_USER, named_arguments

MESSAGE_CHARACTERS = 1_000
REASON_CHARACTERS = 500


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
    """

    verdict: Verdict
    fitting: Fitting | None = None
    call: PolicyCall | None = None
    fault: BaseException | None = None


class Reviewer:
    """Checks calls before `authorize` records a verdict, again just before the side effect, and in what-ifs."""

    def __init__(self, tools: Tools, gate: Gate) -> None:
        self._tools = tools
        self._gate = gate

    def review(self, given: AuthorizeInput, call: ProposedCall) -> Reviewed:
        """Reviews one call; any failure on the way is a refusal."""
        tool = self._tools.tool(given.agent, call.tool)
        if tool is None or call.tool not in given.tools:
            return self._refused(given, call, Code.UNKNOWN_TOOL, "there is no such tool")
        arguments = call.parsed
        if isinstance(arguments, Unreadable):
            return self._refused(given, call, Code.INVALID_ARGS, arguments.problem)
        if tool.spec.digest != given.tools[call.tool]:
            return self._refused(given, call, Code.SCHEMA_DRIFT, "the tool has changed since the run was admitted")
        values = tool.typed(arguments)
        if isinstance(values, list):
            return self._refused(given, call, Code.INVALID_ARGS, summary(values))
        try:
            digest = _digest(given, call, arguments)
        except rfc8785.CanonicalizationError:
            message = "the arguments hold a number that JSON cannot carry exactly"
            return self._refused(given, call, Code.INVALID_ARGS, message)
        return self._judged(given, call, Fitting(tool, arguments, values), digest)

    def members(self, agent: str, verdicts: Iterable[Verdict]) -> dict[str, list[str]]:
        """Returns the members of every group that some verdicts ask for."""
        groups = names_of([spec for verdict in verdicts for spec in verdict.groups])
        return {group: list(self._gate.members(agent, group)) for group in groups}

    def _judged(self, given: AuthorizeInput, call: ProposedCall, fitting: Fitting, digest: str) -> Reviewed:
        try:
            asked = _policy_call(given, call, fitting, digest)
            return Reviewed(_bounded(self._gate.judge(asked)), fitting, asked)
        except BaseException as error:  # a fact is anybody's function, and may raise anything
            message = f"policy failed: {type(error).__name__}"
            return Reviewed(self._denied(given, Code.POLICY_ERROR, digest, message), fitting, fault=error)

    def _refused(self, given: AuthorizeInput, call: ProposedCall, code: Code, message: str) -> Reviewed:
        """Refuses a call that does not fit a tool; its digest is of the arguments' text, unread."""
        text = call.arguments.encode("utf-8", "surrogatepass")
        digest = _digest(given, call, {"unread": hashlib.sha256(text).hexdigest()})
        return Reviewed(self._denied(given, code, digest, message))

    def _denied(self, given: AuthorizeInput, code: Code, digest: str, message: str) -> Verdict:
        return _bounded(Verdict(Outcome.DENY, code, digest, self._gate.version(given.agent), message=message))


def _policy_call(given: AuthorizeInput, call: ProposedCall, fitting: Fitting, digest: str) -> PolicyCall:
    tool = fitting.tool
    return PolicyCall(
        agent=given.agent,
        tenant=given.tenant,
        tool=tool.spec,
        arguments=tool.held(fitting.values),
        facts={**tool.facts(fitting.values), NAMED_BY_USER: named_arguments(given.goal, fitting.arguments)},
        run=given.facts,
        now=given.now,
        digest=digest,
        requested_by=given.requested_by,
        consent=given.consents.get(call.call_id, Consent()),
    )


def _bounded(verdict: Verdict) -> Verdict:
    """Cuts the words of a verdict to what a history should hold; rules and groups stay whole."""
    return replace(
        verdict,
        message=verdict.message[:MESSAGE_CHARACTERS],
        reasons=tuple(reason[:REASON_CHARACTERS] for reason in verdict.reasons),
        observed=verdict.observed[:REASON_CHARACTERS],
    )


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
    return "sha256:" + hashlib.sha256(rfc8785.dumps(cast("Any", exact))).hexdigest()
