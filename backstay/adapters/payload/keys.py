"""Reads the keys of the payload codec from the environment: `BACKSTAY_CODEC_KEYS="2026a:BASE64,2025z:BASE64"`.

INVARIANT: no error shows any part of the setting that may be a key.
"""

import base64
import re
from pathlib import Path

from backstay.errors import ConfigurationError

KEYS = "BACKSTAY_CODEC_KEYS"
KEYS_FILE = "BACKSTAY_CODEC_KEYS_FILE"
KEY_BYTES = 32

# Errors show ids. A key of 32 bytes has at least 43 characters in base64, so one written in place of its id never fits.
_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")
_MEND = "write `id:key`, several separated by commas; `openssl rand -base64 32` makes a key"


def codec_keys(text: str | None, file: Path | None) -> dict[str, bytes]:
    """Reads the keys.

    Args:
        text: the value of `BACKSTAY_CODEC_KEYS`.
        file: the path in `BACKSTAY_CODEC_KEYS_FILE`.

    Returns:
        The keys by id, in the order written; none where neither is given, which turns encryption off.

    Raises:
        ConfigurationError: the keys cannot be used; names the variable and the remedy.
    """
    if text and file:
        raise ConfigurationError(f"`{KEYS}` and `{KEYS_FILE}` are both set", mend="unset one of the two")
    if file:
        return read_keys(_contents(file), KEYS_FILE)
    return read_keys(text, KEYS) if text else {}


def _contents(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise ConfigurationError(f"the file cannot be read: {reason}", where=f"`{KEYS_FILE}`") from None
    except UnicodeDecodeError:
        raise ConfigurationError("the file is not text", where=f"`{KEYS_FILE}`", mend=_MEND) from None


def read_keys(text: str, variable: str) -> dict[str, bytes]:
    """Reads keys of 32 bytes by id, in the order written.

    Raises:
        ConfigurationError: the keys cannot be used; names the variable and the remedy.
    """
    entries = [entry for entry in re.split(r"[,\s]+", text) if entry]
    if not entries:
        raise ConfigurationError("it holds no key", where=f"`{variable}`", mend=_MEND)
    keys: dict[str, bytes] = {}
    for number, entry in enumerate(entries, 1):
        key_id, _, written = entry.partition(":")
        if not written or not _ID.fullmatch(key_id):
            raise ConfigurationError(f"entry {number} does not begin with an id", where=f"`{variable}`", mend=_MEND)
        if key_id in keys:
            raise ConfigurationError(f"the id `{key_id}` occurs twice", where=f"`{variable}`")
        keys[key_id] = _key(key_id, written, variable)
    return keys


def _key(key_id: str, written: str, variable: str) -> bytes:
    standard = written.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        key = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        what = f"the key `{key_id}` is not {KEY_BYTES} bytes in base64"
        raise ConfigurationError(what, where=f"`{variable}`", mend=_MEND) from None
    return key
