"""Verifies OIDC tokens that were issued for one message each: their `nonce` is the message's digest."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx2
import jwt
from jwt import PyJWK, PyJWKSet
from jwt.exceptions import PyJWTError

from backstay.contracts.proof import VerifyInput

from .people import OidcTable, PersonTable
from .statement import nonce

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures by a private key only: never `none`, and no HMAC, whose key a verifier would share."""
CLAIMS = ["iss", "aud", "sub", "iat", "exp", "nonce"]
LEEWAY_SECONDS = 60
_FRESH_SECONDS = 300
_FETCH_SECONDS = 5
_LONGEST_BYTES = 1_000_000


class Tokens:
    """Verifies tokens; keeps the keys of an issuer that lie behind an address for a few minutes."""

    def __init__(self) -> None:
        self._fetched: dict[str, tuple[float, PyJWKSet]] = {}

    async def issued_at(self, given: VerifyInput, issuer: OidcTable, person: PersonTable) -> int | None:
        """Returns when a token was issued to a person for a message, in seconds; None where it does not prove that.

        Raises:
            ValueError: the message cannot be spelled.
            OSError: the file of keys cannot be read.
            HTTPError: the address of the keys does not answer.
        """
        wanted = nonce(given.signed)
        try:
            key = await self._key(given.proof, issuer)
            claims: dict[str, Any] = jwt.decode(
                given.proof,
                key,
                algorithms=ALGORITHMS,
                audience=issuer.audience,
                issuer=issuer.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": CLAIMS},
            )
        except (PyJWTError, LookupError, ValueError, RecursionError):
            return None
        # A token for several audiences may have been issued to another of them.
        alone = claims["aud"] in (issuer.audience, [issuer.audience])
        proves = alone and claims["sub"] in person.subjects and claims["nonce"] == wanted
        return int(claims["iat"]) if proves else None

    async def _key(self, token: str, issuer: OidcTable) -> PyJWK:
        """Returns the issuer's key that a token names.

        Raises:
            PyJWTError: there is none.
            OSError: the file of keys cannot be read.
            ValueError: the keys cannot be read.
            HTTPError: the address of the keys does not answer.
            LookupError: the issuer has no key of that name.
        """
        kid = jwt.get_unverified_header(token).get("kid")
        keys = await self._keys(issuer.jwks)
        if kid is None and len(keys.keys) == 1:
            return keys.keys[0]
        return keys[str(kid)]

    async def _keys(self, place: str) -> PyJWKSet:
        if place.startswith("/"):
            return PyJWKSet.from_dict(json.loads(await asyncio.to_thread(Path(place).read_bytes)))
        at, keys = self._fetched.get(place, (0.0, None))
        if keys is None or time.monotonic() - at > _FRESH_SECONDS:
            keys = PyJWKSet.from_dict(json.loads(await _fetched(place)))
            self._fetched[place] = time.monotonic(), keys
        return keys


async def _fetched(address: str) -> bytes:
    async with httpx2.AsyncClient(timeout=_FETCH_SECONDS) as client, client.stream("GET", address) as reply:
        reply.raise_for_status()
        body = bytearray()
        async for piece in reply.aiter_bytes():
            body += piece
            if len(body) > _LONGEST_BYTES:
                raise ValueError("the keys are longer than an issuer's")
        return bytes(body)
