"""Keeps a person's own key on this machine, and signs messages with it."""

import base64
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from backstay.contracts.proof import SignedMessage
from backstay.errors import ConfigurationError

from ..secret.fleet import keep, state_folder
from .people import KEY_PREFIX
from .statement import Signature, statement

_MEND = "move it away, then `backstay keys new` makes another"


class PersonKey:
    """A person's private key."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @property
    def public(self) -> str:
        """The public key as it stands in the file of people."""
        raw = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return KEY_PREFIX + base64.b64encode(raw).decode()

    def sign(self, message: SignedMessage) -> str:
        """Returns the proof of a message, which is good for ten minutes.

        Raises:
            ConfigurationError: the message holds what cannot be signed.
        """
        at = int(time.time())
        try:
            text = statement(message, at)
        except ValueError:
            what = "the message holds what cannot be signed"
            raise ConfigurationError(what, mend="leave out whole numbers of more than fifteen digits") from None
        return str(Signature(at, self._private.sign(text)))


def key_file() -> Path:
    """Returns the file of the key of whoever is logged in."""
    return state_folder() / "person.key"


def new_key() -> PersonKey:
    """Makes a key, and keeps it for its owner alone.

    Raises:
        ConfigurationError: there is one already, or none can be kept.
    """
    file = key_file()
    if file.exists():
        raise ConfigurationError("you have a key already", where=str(file), mend=_MEND)
    private = Ed25519PrivateKey.generate()
    raw = private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    try:
        keep(file, base64.b64encode(raw).decode())
    except OSError as error:
        raise ConfigurationError(f"no key can be kept here: {type(error).__name__}", where=str(file)) from None
    return PersonKey(private)


def own_key() -> PersonKey | None:
    """Returns the key of whoever is logged in; None where there is none.

    Raises:
        ConfigurationError: the file holds no key.
    """
    file = key_file()
    if not file.exists():
        return None
    try:
        raw = base64.b64decode(file.read_text("ascii").strip(), validate=True)
        return PersonKey(Ed25519PrivateKey.from_private_bytes(raw))
    except (OSError, ValueError):
        raise ConfigurationError("it holds no key", where=str(file), mend=_MEND) from None
