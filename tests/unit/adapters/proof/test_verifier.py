"""Signatures are verified against the file as it is now; tests/security/test_claims.py has the forgeries."""

import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from backstay.adapters.proof.key import PersonKey
from backstay.adapters.proof.verifier import UNVERIFIABLE, NoProofs, Verifier, proofs_of
from backstay.contracts.proof import SignedMessage, VerifyInput
from backstay.errors import ConfigurationError
from backstay.settings import Settings

OLD, NEW = PersonKey(Ed25519PrivateKey.generate()), PersonKey(Ed25519PrivateKey.generate())
VOTE = SignedMessage(namespace="default", run_id="run-1", message="approve", content={"by": "ann"})
START = SignedMessage(namespace="default", run_id="run-1", message="start", content={"tenant": "acme"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "people.toml"
    file.write_text(f'[people.ann]\nkeys = ["{OLD.public}", "{NEW.public}"]\n[people.bob]\ntenants = ["acme"]\n')
    return file


def given(signed: SignedMessage, proof: str, by: str | None = "ann", after: int = 0) -> VerifyInput:
    return VerifyInput(signed=signed, by=by, proof=proof, at_ms=int((time.time() + after) * 1000))


async def code(file: Path, question: VerifyInput) -> str | None:
    return (await Verifier(file, required=True).verify(question)).code


@pytest.mark.parametrize("key", [OLD, NEW])
async def test_each_key_of_a_person_proves_the_person(file: Path, key: PersonKey) -> None:
    assert await code(file, given(VOTE, key.sign(VOTE))) is None


@pytest.mark.parametrize("by", [None, "bob", "mallory"])
async def test_a_key_proves_nobody_else(file: Path, by: str | None) -> None:
    assert await code(file, given(VOTE, OLD.sign(VOTE), by)) == "ProofInvalid"


@pytest.mark.parametrize(("after", "wanted"), [(590, None), (611, "ProofExpired"), (-50, None), (-70, "ProofExpired")])
async def test_a_proof_is_good_for_ten_minutes(file: Path, after: int, wanted: str | None) -> None:
    assert await code(file, given(VOTE, OLD.sign(VOTE), after=after)) == wanted


async def test_a_message_that_cannot_be_spelled_is_proven_by_nothing(file: Path) -> None:
    odd = VOTE.model_copy(update={"content": {"n": 10**20}})
    assert await code(file, given(odd, OLD.sign(VOTE))) == "ProofInvalid"


async def test_a_start_for_a_tenant_of_others_is_proven_to_be_one(file: Path) -> None:
    assert await code(file, given(START, OLD.sign(START))) == "TenantNotProven"


async def test_without_a_file_nothing_is_verified() -> None:
    assert isinstance(proofs_of(Settings()), NoProofs)
    assert await NoProofs().verify(given(VOTE, OLD.sign(VOTE))) == UNVERIFIABLE


@pytest.mark.parametrize(("required", "stance"), [(False, "optional"), (True, "required")])
def test_with_a_file_proofs_are_verified_and_required_where_that_is_set(
    file: Path, required: bool, stance: str
) -> None:
    assert proofs_of(Settings(people_keys=file, require_proof=required)).stance == stance


def test_a_file_that_is_missing_keeps_a_worker_from_starting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"people\.toml"):
        proofs_of(Settings(people_keys=tmp_path / "people.toml"))
