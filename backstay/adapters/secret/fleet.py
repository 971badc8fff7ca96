"""Reads the fleet's key: the secret under which the workers of one task queue name shared effects."""

import base64
import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from backstay.errors import ConfigurationError
from backstay.settings import Settings

FLEET_KEY = "BACKSTAY_FLEET_KEY"
KEY_BYTES = 32
_OWNER_ONLY = 0o600
_MEND = "set the same value on every worker; `openssl rand -base64 32` makes one"


def fleet_key(settings: Settings) -> bytes:
    """Returns the key that is set, else one that is made once and kept for this user on this machine.

    Raises:
        ConfigurationError: the key is too short or no base64, or there is none and none can be kept.
    """
    if settings.fleet_key is not None:
        return _decoded(settings.fleet_key, f"`{FLEET_KEY}`")
    return _kept(state_folder() / "fleet.key")


def fingerprint(key: bytes) -> str:
    """Returns eight hexadecimal digits by which workers see that they hold the same key."""
    return hashlib.sha256(b"fleet " + key).hexdigest()[:8]


def state_folder() -> Path:
    """Returns the folder for what Backstay keeps for this user on this machine."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "backstay"


def _kept(file: Path) -> bytes:
    try:
        if not file.exists():
            keep(file, base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())
        return _decoded(file.read_text("ascii"), f"`{file}`")
    except (OSError, UnicodeDecodeError) as error:
        what = f"a tool shares its effect, and no key can be kept in {file}: {type(error).__name__}"
        raise ConfigurationError(what, where=f"`{FLEET_KEY}`", mend=_MEND) from None


def keep(file: Path, key: str) -> None:
    """Writes a new key that its owner alone may read, unless another process that does so right now was first."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWNER_ONLY), "w") as new:
        new.write(key)
    with contextlib.suppress(FileExistsError):
        os.link(draft, file)
    draft.unlink()


def _decoded(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) < KEY_BYTES:
        raise ConfigurationError(f"it is not {KEY_BYTES} bytes or more in base64", where=where, mend=_MEND)
    return key
