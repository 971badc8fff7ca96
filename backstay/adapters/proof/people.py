"""Reads the file of people: whose key and whose subject is whose, and for which tenants a person may start runs.

[people."alice@example.com"]
keys = ["ed25519:..."]                  # as `backstay keys new` prints them
subjects = ["00u1ab2cd"]                # the `sub` of tokens of the issuer below
tenants = ["acme"]                      # default: the tenant `default`; "*" is every tenant

[oidc]
issuer = "https://login.example.com"
audience = "backstay"
jwks = "/etc/backstay/jwks.json"        # or an address with https
"""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import AfterValidator, Field, model_validator

from backstay.contracts.person import People as Members
from backstay.contracts.problems import Contract
from backstay.kernel.person import person_key

from ..agent.toml_file import read_table

KEY_PREFIX = "ed25519:"
EVERY_TENANT = "*"
_KEY_BYTES = 32


def _key(text: str) -> str:
    try:
        raw = base64.b64decode(text.removeprefix(KEY_PREFIX), validate=True)
    except ValueError:
        raw = b""
    if not text.startswith(KEY_PREFIX) or len(raw) != _KEY_BYTES:
        raise ValueError("expected a public key as `backstay keys new` prints it: `ed25519:` and 32 bytes in base64")
    return text


PublicKey = Annotated[str, AfterValidator(_key)]
Text = Annotated[str, Field(min_length=1, max_length=1_000, strict=True)]


class PersonTable(Contract):
    """The table of one person."""

    keys: list[PublicKey] = Field(default_factory=list[str])
    subjects: list[Text] = Field(default_factory=list[str])
    tenants: list[Text] = Field(default_factory=lambda: ["default"])

    def public_keys(self) -> list[Ed25519PublicKey]:
        """Returns the person's keys; several where one is being replaced."""
        raw = (base64.b64decode(key.removeprefix(KEY_PREFIX)) for key in self.keys)
        return [Ed25519PublicKey.from_public_bytes(key) for key in raw]

    def may_start_for(self, tenant: str) -> bool:
        """Tells whether the person may start runs for a tenant."""
        return EVERY_TENANT in self.tenants or tenant in self.tenants


class OidcTable(Contract):
    """The table `[oidc]`: the one issuer of tokens."""

    issuer: Annotated[str, Field(pattern=r"^https://")]
    audience: Text
    jwks: Annotated[str, Field(pattern=r"^(https://|/)")]


class _Names(Contract):
    names: Members


class PeopleFile(Contract):
    """The whole file."""

    people: dict[str, PersonTable]
    oidc: OidcTable | None = None

    @model_validator(mode="after")
    def _is_unambiguous(self) -> Self:
        """Refuses one person in two spellings, and a key or a subject that would be two people's."""
        _Names(names=list(self.people))
        for kind in ("keys", "subjects"):
            if _repeated(entry for person in self.people.values() for entry in getattr(person, kind)):
                raise ValueError(f"one of the {kind} stands in the file twice: it must be one person's")
        if self.oidc is None and any(person.subjects for person in self.people.values()):
            raise ValueError("`subjects` need the table `[oidc]`, which says who issues their tokens")
        return self

    def person(self, name: str) -> PersonTable | None:
        """Returns the entry of a person, however the name is written; None where there is none."""
        key = person_key(name)
        return next((table for entry, table in self.people.items() if person_key(entry) == key), None)


def read_people(file: Path) -> PeopleFile:
    """Reads the file of people.

    Raises:
        ConfigurationError: it cannot be read, a key does not fit, or it says two things of one person or one key.
    """
    return read_table(file, PeopleFile)


def _repeated(entries: Iterable[str]) -> bool:
    listed = list(entries)
    return len(listed) != len(set(listed))
