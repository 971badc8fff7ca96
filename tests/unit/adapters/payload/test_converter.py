"""Whether payloads are sealed, and by which keys."""

import base64
import os

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import DefaultFailureConverterWithEncodedAttributes

from backstay.adapters.payload.codec import EncryptingCodec
from backstay.adapters.payload.converter import data_converter, for_worker
from backstay.errors import ConfigurationError
from backstay.settings import Settings

OLD, NEW = os.urandom(32), os.urandom(32)
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"goal": "find the whale"}')


def written(key: bytes) -> str:
    return base64.b64encode(key).decode()


def test_without_keys_nothing_is_sealed() -> None:
    assert data_converter(Settings()).payload_codec is None


def test_the_converter_follows_the_settings_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    of_settings = data_converter(Settings(codec_keys=f"new:{written(NEW)}"))
    assert data_converter().payload_codec is None
    monkeypatch.setenv("BACKSTAY_CODEC_KEYS", f"new:{written(NEW)}")
    for converter in (of_settings, data_converter(), data_converter(Settings())):
        assert isinstance(converter.payload_codec, EncryptingCodec)
        assert converter.failure_converter_class is DefaultFailureConverterWithEncodedAttributes


def test_a_strict_worker_without_keys_does_not_start() -> None:
    with pytest.raises(ConfigurationError, match="BACKSTAY_CODEC_STRICT"):
        for_worker(data_converter(Settings()), strict=True)
