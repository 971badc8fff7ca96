"""The keys of payloads, read from a setting or from a file that it names."""

import base64
import os
from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload

from backstay.adapters.payload.keys import codec_keys
from backstay.errors import ConfigurationError

OLD, NEW = os.urandom(32), os.urandom(32)
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"goal": "find the whale"}')


def written(key: bytes) -> str:
    return base64.b64encode(key).decode()


def test_keys_are_read_in_their_order_however_base64_is_written() -> None:
    urlsafe = base64.urlsafe_b64encode(b"\xfb\xff" * 16).decode().rstrip("=")
    keys = codec_keys(f" new:{written(NEW)} ,\n old:{urlsafe},", None)
    assert list(keys.items()) == [("new", NEW), ("old", b"\xfb\xff" * 16)]


def test_keys_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"new:{written(NEW)}\nold:{written(OLD)}\n")
    assert codec_keys(None, file) == {"new": NEW, "old": OLD}


def test_settings_that_are_missing_are_no_keys() -> None:
    assert codec_keys(None, None) == {}


SECRET = written(b"s" * 32)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SECRET, "entry 1 does not begin with an id"),
        (f"new:{SECRET},{SECRET}", "entry 2 does not begin with an id"),
        (f"{SECRET}:new", "entry 1 does not begin with an id"),
        (f"{SECRET.rstrip('=')}:new", "entry 1 does not begin with an id"),
        (f"a b:{SECRET}", "entry 1 does not begin with an id"),
        (f"new:{SECRET[:-4]}", "the key `new` is not 32 bytes in base64"),
        (f"new:{SECRET}{SECRET}", "the key `new` is not 32 bytes in base64"),
        (f"new:é{SECRET}", "the key `new` is not 32 bytes in base64"),
        (f"new:{SECRET},new:{SECRET}", "the id `new` occurs twice"),
        (" , ", "it holds no key"),
    ],
)
def test_a_malformed_setting_names_the_variable_and_shows_no_key(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        codec_keys(text, None)
    assert str(caught.value).startswith(f"`BACKSTAY_CODEC_KEYS`: {says}")
    assert SECRET[:8] not in str(caught.value)


def test_a_key_file_that_cannot_be_used_names_its_variable(tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.touch()
    binary.write_bytes(OLD + b"\xff")
    for file in (empty, binary, tmp_path / "missing", tmp_path):
        with pytest.raises(ConfigurationError, match="BACKSTAY_CODEC_KEYS_FILE"):
            codec_keys(None, file)


def test_both_settings_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="both set"):
        codec_keys(f"new:{SECRET}", tmp_path)
