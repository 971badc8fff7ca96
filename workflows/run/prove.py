"""Has it verified that a message is from the person it names, where the message brings a proof or must bring one."""

from temporalio import workflow
from temporalio.exceptions import ActivityError
from temporalio.workflow import ActivityConfig

from backstay.contracts import names
from backstay.contracts.carry import CarriedProofs
from backstay.contracts.messages import Grant, Hold, Say, Vote
from backstay.contracts.proof import SignedMessage, Stance, VerifyInput, VerifyResult, sent
from backstay.kernel.approval import Refusal
from backstay.kernel.events import ClaimProven
from backstay.kernel.keys import fingerprint, verify_id
from backstay.kernel.markdown import inert
from backstay.kernel.person import people_keys, person_key
from backstay.kernel.proof import PER_PERSON, Doubts, proof_id

from .. import options
from .changes import knows
from .clock import Clock
from .record import Record
from .running import Running

ONCE_DOUBTED = 100
BY_FORM = "a proof is known by its form, and doubted by the name it comes under"
NO_BLIND_TRUST = "a proof that nothing verifies is refused"

_REQUIRED = Refusal("ProofRequired", "this run takes no message without a proof of who sent it")
_UNVERIFIABLE = Refusal("ProofUnverifiable", "nothing verifies proofs for this run: send the message without one")
_USED = Refusal("ProofUsed", "this proof was used before: sign again")
_NO_PROOF = Refusal(
    "ProofInvalid", "the proof has not the form of one: a signature of `backstay keys`, or a token, as it was issued"
)
_TOO_MANY = Refusal(
    "TooManyProofs", f"{PER_PERSON} proofs sent under this name did not hold: no further one of it is verified"
)
_UNCHECKED = Refusal("ProofUnchecked", "no worker could verify the proof now: try again")


class Proofs:
    """The proofs of the messages to a run; of those that do not hold, so many are verified under each name."""

    def __init__(self, record: Record, clock: Clock, running: Running, requester: str | None) -> None:
        self._record = record
        self._clock = clock
        self._running = running
        self._asked = 0
        self._doubts = Doubts()
        self._used: set[str] = set()
        self._heard = {person_key(requester or "")}
        self.stance: Stance | None = None
        """The stance that the run was admitted with; None before its admission."""

    def carry_on(self, carried: CarriedProofs) -> None:
        """Goes on where the link before has left off: a proof counts once in a run."""
        self._used, self._heard = set(carried.used), set(carried.heard)
        self._doubts = Doubts(dict(carried.doubts))

    def carried(self) -> CarriedProofs:
        """Returns what the next link knows of proofs."""
        return CarriedProofs(used=sorted(self._used), doubts=dict(self._doubts.counts), heard=sorted(self._heard))

    async def refuses(self, name: str, message: Vote | Hold | Grant | Say) -> Refusal | None:
        """Returns why a message does not count as its sender's; None where it does.

        Whatever it waits for, the run may have changed when this returns: what a message answers may have been answered
        or have expired, and the run may have been stopped.
        """
        if message.proof is None:
            return _REQUIRED if self.stance == "required" else None
        await workflow.wait_condition(lambda: self.stance is not None or self._record.over)
        if self.stance in (None, "unverifiable"):
            # Only the replay of a run that once took a vote with any proof counts it without one.
            once_refused = not isinstance(message, Vote)
            return _UNVERIFIABLE if once_refused or knows(NO_BLIND_TRUST) else None
        return await self._verified(name, message, message.proof)

    async def _verified(self, name: str, message: Vote | Hold | Grant | Say, proof: str) -> Refusal | None:
        by_form = knows(BY_FORM)
        known = proof_id(proof) if by_form else proof
        if known is None:
            return _NO_PROOF
        if fingerprint(known) in self._used:
            return _USED
        person = self._known(message.by)
        if not (self._doubts.leave_room(person) if by_form else self._doubts.total < ONCE_DOUBTED):
            return _TOO_MANY
        # INVARIANT: counted before it is asked about, so that a flood that comes at once is bounded too.
        self._doubts = self._doubts.changed(person, 1)
        self._asked += 1
        summary = f"verify · {name} by {inert(message.by)}"
        how: ActivityConfig = {**options.VERIFY, "activity_id": verify_id(self._asked), "summary": summary}
        try:
            answer = await self._running.execute(names.VERIFY, self._question(name, message, proof), VerifyResult, how)
        except ActivityError:
            return _UNCHECKED
        if answer.code is not None:
            return Refusal(answer.code, answer.text)
        self._doubts = self._doubts.changed(person, -1)
        # While it was verified, another copy of the same message may have been.
        if fingerprint(known) in self._used:
            return _USED
        self._used.add(fingerprint(known))
        self._heard.add(person_key(message.by))
        self._record.apply(ClaimProven(name, message.by))
        return None

    def _known(self, by: str) -> str:
        """Returns the key of a person whom the run asks, or has heard of; empty for any other name."""
        person = person_key(by)
        groups = [
            group for one in self._record.state.approvals.values() if not one.end for group in one.members.values()
        ]
        asked = person in self._heard or any(person in people_keys(group) for group in groups)
        return person if asked else ""

    def _question(self, name: str, message: Vote | Hold | Grant | Say, proof: str) -> VerifyInput:
        info = workflow.info()
        signed = SignedMessage(namespace=info.namespace, run_id=info.workflow_id, message=name, content=sent(message))
        return VerifyInput(signed=signed, by=message.by, proof=proof, at_ms=self._clock.now_ms())
