"""The ports that say whether a call may happen: rules, standing grants, and proofs of who spoke."""

from collections.abc import Sequence
from typing import Protocol

from backstay.contracts.policy import PolicyCall
from backstay.contracts.proof import Stance, VerifyInput, VerifyResult
from backstay.contracts.standing import UseResult
from backstay.kernel.approval import Refusal
from backstay.kernel.sourcing import Sourcing
from backstay.kernel.standing import StandingGrant, Wanted
from backstay.kernel.verdict import Verdict


class Gate(Protocol):
    """Policy."""

    def version(self, agent: str) -> str:
        """Returns the digest of the rules in force for an agent; empty where there are none."""
        ...

    def members(self, agent: str, group: str) -> Sequence[str]:
        """Returns the people who are in an approval group of an agent now."""
        ...

    def reads_fact(self, agent: str, fact: str, version: str = "") -> bool:
        """Tells whether a rule in force for an agent, or for a version of it, depends on a fact."""
        ...

    def sourcing(self, agent: str, version: str = "") -> Sourcing | None:
        """Returns what is known of an agent's values; None where no rule in force reads where they come from."""
        ...

    def judge(self, call: PolicyCall) -> Verdict:
        """Judges one call; the verdict repeats its digest and lists rules in sorted order."""
        ...


class Grants(Protocol):
    """The standing grants of tenants."""

    async def give(self, tenant: str, grant: StandingGrant) -> Refusal | None:
        """Adds a grant; returns why it does not stand, or None. The same once more changes nothing."""
        ...

    async def use(self, tenant: str, wanted: Wanted) -> UseResult:
        """Draws a use for a call; there is none where people have to be asked. The same id draws once."""
        ...


class Proofs(Protocol):
    """The proofs that a message is from the person it names."""

    @property
    def stance(self) -> Stance:
        """The stance on proofs of the runs that this worker admits."""
        ...

    async def verify(self, given: VerifyInput) -> VerifyResult:
        """Tells whether the person who is named sent exactly this message, and lately."""
        ...
