"""Reviews one call: does it fit its tool, what says policy, and which exact call was judged."""

import hashlib
from dataclasses import dataclass
from typing import Any, cast

import rfc8785

from backstay.contracts.decision import ProposedCall
from backstay.contracts.policy import Consent, GateCall, Ruling, RunFacts
from backstay.contracts.problems import summary
from backstay.kernel.approval import names_of
from backstay.kernel.arguments import Unreadable, read_arguments
from backstay.kernel.verdict import Code, Outcome, Verdict
from backstay.ports import Catalog, Gate, Tool
from backstay.tools.facts import NAMED_BY_USER, named_arguments


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose call it is, and the digest of the tool's schema that the run was admitted with (None: not admitted)."""

    run_id: str
    run_key: str
    agent: str
    tenant: str
    step: int
    schema: str | None
    goal: str
    requested_by: str | None
    facts: RunFacts
    now: int
    consent: Consent


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The verdict; where the call fits its tool, the tool, and the arguments as JSON and in the tool's own types."""

    verdict: Verdict
    tool: Tool | None = None
    arguments: dict[str, Any] | None = None
    values: dict[str, Any] | None = None


class Reviewer:
    """The same check for `authorize` and, just before the side effect, for `act`."""

    def __init__(self, catalog: Catalog, gate: Gate) -> None:
        self._catalog = catalog
        self._gate = gate

    def review(self, asked: Asked, call: ProposedCall) -> Reviewed:
        """Reviews a call; whatever goes wrong on the way is a refusal."""
        tool = self._catalog.tool(asked.agent, call.tool)
        arguments = read_arguments(call.arguments)
        if asked.schema is None or tool is None:
            return self._refused(asked, call, Ruling(Outcome.DENY, Code.UNKNOWN_TOOL, (), "there is no such tool"))
        if isinstance(arguments, Unreadable):
            return self._refused(asked, call, Ruling(Outcome.DENY, Code.INVALID_ARGS, (), arguments.problem))
        if tool.spec.digest != asked.schema:
            message = "the tool has changed since the run was admitted"
            return self._refused(asked, call, Ruling(Outcome.DENY, Code.SCHEMA_DRIFT, (), message))
        values = tool.typed(arguments)
        if isinstance(values, list):
            return self._refused(asked, call, Ruling(Outcome.DENY, Code.INVALID_ARGS, (), summary(values)))
        try:
            digest = _digest(asked, call, arguments)
        except rfc8785.CanonicalizationError:
            message = "the arguments hold a number that JSON cannot carry exactly"
            return self._refused(asked, call, Ruling(Outcome.DENY, Code.INVALID_ARGS, (), message))
        ruling = self._ruled(asked, tool, arguments, values)
        return Reviewed(self._verdict(asked, ruling, digest), tool, arguments, values)

    def members(self, agent: str, verdicts: list[Verdict]) -> dict[str, list[str]]:
        """Who is in the groups that some verdicts ask for."""
        groups = names_of([spec for verdict in verdicts for spec in verdict.groups])
        return {group: list(self._gate.members(agent, group)) for group in groups}

    def _ruled(self, asked: Asked, tool: Tool, arguments: dict[str, Any], values: dict[str, Any]) -> Ruling:
        try:
            facts = {**tool.facts(values), NAMED_BY_USER: named_arguments(asked.goal, arguments)}
            return self._gate.rule(_gate_call(asked, tool, tool.held(values), facts))
        except BaseException as error:  # a fact is anybody's function, and may raise anything
            return Ruling(Outcome.DENY, Code.POLICY_ERROR, (), f"policy failed: {type(error).__name__}")

    def _refused(self, asked: Asked, call: ProposedCall, ruling: Ruling) -> Reviewed:
        spelled = {"unread": hashlib.sha256(call.arguments.encode("utf-8", "surrogatepass")).hexdigest()}
        return Reviewed(self._verdict(asked, ruling, _digest(asked, call, spelled)))

    def _verdict(self, asked: Asked, ruling: Ruling, digest: str) -> Verdict:
        rules = tuple(sorted(ruling.rules))
        version = ruling.policy_version or self._gate.version(asked.agent)
        return Verdict(
            ruling.outcome,
            ruling.code,
            digest,
            version,
            rules,
            ruling.message[:1_000],
            ruling.groups,
            tuple(reason[:500] for reason in ruling.reasons),
            ruling.observed[:500],
        )


def _gate_call(asked: Asked, tool: Tool, arguments: dict[str, Any], facts: dict[str, Any]) -> GateCall:
    return GateCall(
        run_id=asked.run_id,
        agent=asked.agent,
        tenant=asked.tenant,
        step=asked.step,
        tool=tool.spec,
        arguments=arguments,
        facts=facts,
        requested_by=asked.requested_by,
        run=asked.facts,
        now=asked.now,
        consent=asked.consent,
    )


def _digest(asked: Asked, call: ProposedCall, arguments: dict[str, Any]) -> str:
    """Digest of the exact call: run, step, call, tool, tool schema, canonical arguments."""
    exact = {
        "run": asked.run_key,
        "step": asked.step,
        "call": call.call_id,
        "tool": call.tool.encode("utf-8", "replace").decode(),
        "schema": asked.schema,
        "arguments": arguments,
    }
    return "sha256:" + hashlib.sha256(rfc8785.dumps(cast("Any", exact))).hexdigest()
