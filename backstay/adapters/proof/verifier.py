"""Verifies proofs against the file of people: signatures by their keys, tokens of their issuer."""

import asyncio
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from backstay.contracts.proof import START, Stance, VerifyInput, VerifyResult
from backstay.errors import ConfigurationError
from backstay.kernel.proof import proof_id
from backstay.settings import Settings

from .oidc import Tokens
from .people import PeopleFile, PersonTable, read_people
from .statement import Signature, statement

PEOPLE_KEYS = "BACKSTAY_PEOPLE_KEYS"
REQUIRE_PROOF = "BACKSTAY_REQUIRE_PROOF"
VALID_SECONDS = 600
AHEAD_SECONDS = 60
"""The most that a signer's clock may be ahead of the worker's."""

UNVERIFIABLE = VerifyResult(
    code="ProofUnverifiable", text=f"this worker can verify no proof: set `{PEOPLE_KEYS}` there, or send none"
)
_STRANGER = VerifyResult(
    code="ProofInvalid", text="nobody of that name has a key or a subject in the worker's file of people"
)
_INVALID = VerifyResult(
    code="ProofInvalid", text="the proof is not this person's for this message: sign the message exactly as it is sent"
)
_EXPIRED = VerifyResult(
    code="ProofExpired", text=f"the proof is not of the last {VALID_SECONDS // 60} minutes: sign again"
)
_TENANT = VerifyResult(code="TenantNotProven", text="this person may not start runs for that tenant")
PROVEN = VerifyResult()


class NoProofs:
    """Verifies nothing, and refuses whatever it is shown."""

    stance: Stance = "unverifiable"

    async def verify(self, given: VerifyInput) -> VerifyResult:
        """Refuses a proof."""
        return UNVERIFIABLE


class Verifier:
    """Verifies proofs; reads the file of people each time, so that a key taken out of it proves nothing any more."""

    def __init__(self, file: Path, required: bool) -> None:
        """Reads the file once, so that a worker does not start with one it cannot use.

        Raises:
            ConfigurationError: the file cannot be used.
        """
        read_people(file)
        self._file = file
        self._tokens = Tokens()
        self._stance: Stance = "required" if required else "optional"

    @property
    def stance(self) -> Stance:
        """The stance on proofs of the runs that this worker admits."""
        return self._stance

    async def verify(self, given: VerifyInput) -> VerifyResult:
        """Tells whether the person who is named sent exactly this message, and lately."""
        try:
            people = await asyncio.to_thread(read_people, self._file)
        except ConfigurationError:
            return UNVERIFIABLE
        if proof_id(given.proof) is None:
            return _INVALID
        person = people.person(given.by) if given.by else None
        if person is None:
            return _STRANGER
        try:
            found = await self._checked(given, people, person)
        except ValueError:  # RFC 8785 cannot spell the message
            return _INVALID
        if found is PROVEN and given.signed.message == START:
            return PROVEN if person.may_start_for(str(given.signed.content.get("tenant"))) else _TENANT
        return found

    async def _checked(self, given: VerifyInput, people: PeopleFile, person: PersonTable) -> VerifyResult:
        signature = Signature.read(given.proof)
        if signature is not None:
            text = statement(given.signed, signature.at)
            known = any(_signed(key, signature.value, text) for key in person.public_keys())
            at = signature.at if known else None
        else:
            at = await self._tokens.issued_at(given, people.oidc, person) if people.oidc else None
        if at is None:
            return _INVALID
        return PROVEN if -AHEAD_SECONDS <= given.at_ms // 1000 - at <= VALID_SECONDS else _EXPIRED


def proofs_of(settings: Settings) -> Verifier | NoProofs:
    """Returns what verifies the proofs of runs.

    Raises:
        ConfigurationError: the file of people cannot be used, or proofs are required and there is none.
    """
    if settings.people_keys is not None:
        return Verifier(settings.people_keys, settings.require_proof)
    if settings.require_proof:
        mend = f"set `{PEOPLE_KEYS}` to the file of people; `backstay keys new` prints a line for it"
        raise ConfigurationError(
            "proofs are required, and nothing can verify one", where=f"`{REQUIRE_PROOF}`", mend=mend
        )
    return NoProofs()


def _signed(key: Ed25519PublicKey, signature: bytes, text: bytes) -> bool:
    try:
        key.verify(signature, text)
    except InvalidSignature:
        return False
    return True
