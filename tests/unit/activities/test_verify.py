"""`verify`: whether a message is from the person it names."""

import pytest

from activities.verify import Verify
from backstay.contracts.proof import SignedMessage, VerifyInput, VerifyResult

from .fakes import FakeProofs
from .world import World

GIVEN = VerifyInput(
    signed=SignedMessage(namespace="default", run_id="run-1", message="approve", content={"by": "ann"}),
    by="ann",
    proof="ann's",
    at_ms=1,
)


@pytest.mark.parametrize("answer", [VerifyResult(), VerifyResult(code="ProofExpired", text="sign again")])
async def test_the_answer_is_that_of_what_verifies_proofs_here(world: World, answer: VerifyResult) -> None:
    proofs = FakeProofs(answer=answer)
    assert await world.env.run(Verify(proofs).verify, GIVEN) == answer
    assert proofs.asked == [GIVEN]
