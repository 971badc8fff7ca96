"""The gate: which bundle is in force for which agent, and what it says of a call."""

import threading
from collections.abc import Iterable

from backstay.errors import ConfigurationError
from backstay.kernel.verdict import Code, Outcome

from .bundle.build import Bundle
from .call import GateRequest, Ruling
from .explain import Explanation, explained
from .judge import judge

NO_RULES = "no rules are in force for this agent"


class Gate:
    """Decides calls. Bundles may be replaced at any time, from any thread: each call is judged by one of them."""

    def __init__(self, bundles: Iterable[Bundle] = ()) -> None:
        self._swap = threading.Lock()
        # INVARIANT: the mapping itself is never changed, only exchanged, so that readers need no lock.
        self._bundles = {bundle.agent: bundle for bundle in bundles}

    def replace(self, bundle: Bundle) -> None:
        """Puts a bundle in force for its agent. It was checked when it was built: what is broken never gets here."""
        with self._swap:
            self._bundles = {**self._bundles, bundle.agent: bundle}

    def bundle(self, agent: str) -> Bundle:
        """Returns the bundle in force for an agent.

        Raises:
            ConfigurationError: no rules were put in force for it.
        """
        bundle = self._bundles.get(agent)
        if bundle is None:
            raise ConfigurationError(NO_RULES, where=agent)
        return bundle

    def version(self, agent: str) -> str:
        """Digest of the rules in force for an agent; empty where there are none."""
        bundle = self._bundles.get(agent)
        return bundle.version if bundle else ""

    def decide(self, request: GateRequest) -> Ruling:
        """Decides one call; without a rule that permits it, it is denied."""
        bundle = self._bundles.get(request.agent)
        if bundle is None:
            return Ruling(Outcome.DENY, Code.NOT_PERMITTED, (), NO_RULES)
        return judge(bundle, request)

    def explain(self, request: GateRequest) -> Explanation:
        """The decision, and what would change it. For people: it names values, which `decide` never does."""
        bundle = self._bundles.get(request.agent)
        if bundle is None:
            return Explanation(Ruling(Outcome.DENY, Code.NOT_PERMITTED, (), NO_RULES))
        return explained(bundle, request)
