"""Tells which reviews are so brief that the worker's loop makes them itself: a thread would cost more than they do."""

import contextlib
from collections.abc import Generator, Sequence
from time import thread_time

from backstay.contracts.decision import ProposedCall
from backstay.contracts.policy import AuthorizeInput
from backstay.ports import Gate, Tools
from backstay.tools.facts import NAMED_BY_USER, NAMED_WEAKLY

MOST_CALLS = 4
MOST_CHARACTERS = 1_000
MOST_SECONDS = 0.005


class BriefReviews:
    """Remembers how long the last review of each agent took.

    INVARIANT: what may take long is never brief. No function of the agent's own is called, no rule reads where values
    come from, the arguments are short, and the agent's rules were quick the last time.
    """

    def __init__(self, tools: Tools, gate: Gate) -> None:
        self._tools = tools
        self._gate = gate
        self._seconds: dict[str, float] = {}

    def has(self, given: AuthorizeInput, calls: Sequence[ProposedCall]) -> bool:
        """Tells whether the review of some calls is brief."""
        if given.above or self._seconds.get(given.agent, MOST_SECONDS) >= MOST_SECONDS or len(calls) > MOST_CALLS:
            return False
        if self._gate.sourcing(given.agent, given.version) is not None:
            return False
        if sum(len(call.arguments) for call in calls) > MOST_CHARACTERS:
            return False
        return all(self._is_plain(given, call.tool) for call in calls)

    @contextlib.contextmanager
    def timed(self, agent: str) -> Generator[None]:
        """Takes the processor time of a review of an agent's calls; no other one is brief before it has ended."""
        self._seconds.pop(agent, None)
        began = thread_time()
        yield
        self._seconds[agent] = thread_time() - began

    def _is_plain(self, given: AuthorizeInput, name: str) -> bool:
        """Tells whether a call of a tool is read and judged without the agent's own functions and the goal."""
        tool = self._tools.tool(given.agent, name, given.version)
        if tool is None or not tool.plain or tool.spec.exposure:
            return False
        facts = (NAMED_BY_USER, NAMED_WEAKLY, *tool.spec.facts)
        return not any(self._gate.reads_fact(given.agent, fact, given.version) for fact in facts)
