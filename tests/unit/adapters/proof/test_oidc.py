"""Tokens of an issuer: by any of its keys, and only for the message in their nonce."""

import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from backstay.adapters.proof.oidc import Tokens
from backstay.adapters.proof.people import OidcTable, PersonTable
from backstay.adapters.proof.statement import nonce
from backstay.contracts.proof import SignedMessage, VerifyInput

RSA = rsa.generate_private_key(65_537, 2_048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
KEYS: list[dict[str, Any]] = [
    {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "rsa"},
    {**ECAlgorithm.to_jwk(EC.public_key(), as_dict=True), "kid": "ec"},
    {**OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True), "kid": "ed"},
    {"kty": "oct", "k": "AAAA", "kid": "oct", "alg": "HS256"},
]
SIGNED = SignedMessage(namespace="default", run_id="run-1", message="approve", content={"by": "ann"})
ANN = PersonTable(subjects=["00u1"])
NOW = int(time.time())
CLAIMS = {
    "iss": "https://x.com",
    "aud": "backstay",
    "sub": "00u1",
    "iat": NOW,
    "exp": NOW + 72_000,
    "nonce": nonce(SIGNED),
}


async def at(tmp_path: Path, token: str, keys: list[dict[str, Any]] = KEYS) -> int | None:
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": keys}))
    issuer = OidcTable(issuer="https://x.com", audience="backstay", jwks=str(tmp_path / "jwks.json"))
    return await Tokens().issued_at(VerifyInput(signed=SIGNED, by="ann", proof=token, at_ms=1), issuer, ANN)


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA, "RS256", "rsa"), (EC, "ES256", "ec"), (ED, "EdDSA", "ed")])
async def test_a_token_by_a_key_of_the_issuer_tells_when_it_was_issued(
    tmp_path: Path, key: Any, algorithm: str, kid: str
) -> None:
    assert await at(tmp_path, jwt.encode(CLAIMS, key, algorithm, {"kid": kid})) == NOW


async def test_an_issuer_with_one_key_need_not_name_it(tmp_path: Path) -> None:
    assert await at(tmp_path, jwt.encode(CLAIMS, ED, "EdDSA"), KEYS[2:3]) == NOW


@pytest.mark.parametrize(
    "token",
    [
        jwt.encode(CLAIMS, ED, "EdDSA", {"kid": "rsa"}),
        jwt.encode(CLAIMS, ED, "EdDSA", {"kid": "unknown"}),
        jwt.encode(CLAIMS, ED, "EdDSA"),
        jwt.encode(CLAIMS, "", "none", {"kid": "ed"}),
        jwt.encode(CLAIMS, bytes(3) + bytes(61), "HS256", {"kid": "oct"}),
        jwt.encode({**CLAIMS, "iat": NOW + 36_000}, ED, "EdDSA", {"kid": "ed"}),
        jwt.encode({**CLAIMS, "nbf": NOW + 36_000}, ED, "EdDSA", {"kid": "ed"}),
        jwt.encode({**CLAIMS, "sub": ""}, ED, "EdDSA", {"kid": "ed"}),
        "",
        "a.b.c",
        "W1tbW1tb" * 400 + ".e30.AA",
    ],
)
async def test_anything_else_proves_nothing(tmp_path: Path, token: str) -> None:
    assert await at(tmp_path, token) is None


async def test_keys_that_cannot_be_read_prove_nothing(tmp_path: Path) -> None:
    assert await at(tmp_path, jwt.encode(CLAIMS, ED, "EdDSA", {"kid": "ed"}), []) is None


async def test_a_file_of_keys_that_is_away_for_a_moment_is_asked_for_again(tmp_path: Path) -> None:
    issuer = OidcTable(issuer="https://x.com", audience="backstay", jwks=str(tmp_path / "none.json"))
    token = jwt.encode(CLAIMS, ED, "EdDSA", {"kid": "ed"})
    with pytest.raises(OSError, match="none"):
        await Tokens().issued_at(VerifyInput(signed=SIGNED, by="ann", proof=token, at_ms=1), issuer, ANN)
