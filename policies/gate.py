"""The gate: what an agent lists it may do, everything else is denied."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from backstay.contracts.gate import GateCall, Ruling
from backstay.kernel.verdict import Code, Outcome

LISTED_TOOLS = "listed-tools"


class Gate:
    """Decides by one rule per agent, `listed-tools`: the tools in its list are permitted."""

    def __init__(self, tools: Mapping[str, Iterable[str]]) -> None:
        self._tools = {agent: frozenset(names) for agent, names in tools.items()}
        self._versions = {agent: _digest(agent, names) for agent, names in self._tools.items()}

    def version(self, agent: str) -> str:
        """Digest of the rules in force for an agent."""
        return self._versions.get(agent) or _digest(agent, ())

    def members(self, agent: str, group: str) -> tuple[str, ...]:
        """Who is in an approval group: nobody yet."""
        return ()

    def rule(self, call: GateCall) -> Ruling:
        """Decides one call; without a rule that permits it, it is denied."""
        if call.tool.name in self._tools.get(call.agent, frozenset()):
            return Ruling(Outcome.ALLOW, Code.PERMITTED, (LISTED_TOOLS,))
        return Ruling(Outcome.DENY, Code.NOT_PERMITTED, (), "no rule permits it")


def _digest(agent: str, tools: Iterable[str]) -> str:
    rules = json.dumps({"rule": LISTED_TOOLS, "agent": agent, "tools": sorted(tools)}, sort_keys=True)
    return "sha256:" + hashlib.sha256(rules.encode()).hexdigest()
