"""Verifies who sent a message to a run."""

from temporalio import activity

from backstay.contracts import names
from backstay.contracts.proof import VerifyInput, VerifyResult
from backstay.ports import Proofs


class Verify:
    """The activity `verify`."""

    def __init__(self, proofs: Proofs) -> None:
        self._proofs = proofs

    @activity.defn(name=names.VERIFY)
    async def verify(self, given: VerifyInput) -> VerifyResult:
        """Tells whether a proof holds; the run decides what follows."""
        return await self._proofs.verify(given)
