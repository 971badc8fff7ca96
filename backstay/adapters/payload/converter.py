"""Builds the data converter: pydantic's JSON, encrypted where keys are set.

With encryption on, Temporal can still read ids (of runs, activities and updates), names (of workflows, activities,
signals, task queues and tools' error types), times, search attributes, and the reasons of a terminate or a cancel.
"""

import dataclasses
import os
from pathlib import Path

from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, ExternalStorage

from backstay.errors import ConfigurationError
from backstay.settings import Settings

from .failures import failures_of
from .keys import KEYS, KEYS_FILE, codec_keys
from .references import ReferringConverter
from .tolerant import TolerantPayloadConverter, WorkerPayloadConverter

STORE = "BACKSTAY_PAYLOAD_STORE"
STORED_BYTES = 128_000
"""Smaller payloads stay in the history: the engine takes 2 MB of one, and 4 MB of all in a message."""
_MEND = f"set `{KEYS}`, or leave it out"


def data_converter(settings: Settings | None = None) -> DataConverter:
    """Returns the converter that workers and clients share.

    With keys, it also encrypts messages and stack traces of failures. With a store, large payloads lie there.

    Args:
        settings: hold the keys and the store; without them, the environment variables do.

    Raises:
        ConfigurationError: the keys or the store cannot be used.
    """
    keys = codec_keys(settings.codec_keys, settings.codec_keys_file) if settings else keys_of_environment()
    store = settings.payload_store if settings else os.environ.get(STORE) or None
    plain = ReferringConverter(payload_converter_class=TolerantPayloadConverter, external_storage=_storage(store))
    if not keys:
        return plain
    from .codec import EncryptingCodec  # imported here so that `cryptography` is loaded only where it is needed

    return dataclasses.replace(
        plain,
        payload_codec=EncryptingCodec(keys),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def for_worker(converter: DataConverter, *, strict: bool = False) -> DataConverter:
    """Returns the converter for a worker: it rejects payloads it cannot decrypt without failing the workflow task.

    It writes failures that are raised on purpose without a stack.

    Args:
        converter: that of clients.
        strict: also rejects payloads of activities that are not encrypted.

    Raises:
        ConfigurationError: a strict worker has no keys.
    """
    lenient = getattr(converter.payload_codec, "lenient", None)
    if lenient is None and strict:
        raise ConfigurationError("there are no keys to be strict about", where="`BACKSTAY_CODEC_STRICT`", mend=_MEND)
    codec = lenient(strict=strict) if lenient else converter.payload_codec
    ours = converter.payload_converter_class is TolerantPayloadConverter
    return dataclasses.replace(
        converter,
        payload_converter_class=WorkerPayloadConverter if ours else converter.payload_converter_class,
        payload_codec=codec,
        failure_converter_class=failures_of(converter),
        **({"lenient": True} if isinstance(converter, ReferringConverter) else {}),
    )


def _storage(store: str | None) -> ExternalStorage | None:
    if store is None:
        return None
    from ..archive.place import place_of  # imported here: most processes have no store
    from .outside import Outside

    return ExternalStorage(drivers=[Outside(place_of(store, STORE))], payload_size_threshold=STORED_BYTES)


def keys_of_environment() -> dict[str, bytes]:
    """Reads the codec's keys from the environment variables.

    Raises:
        ConfigurationError: the keys cannot be used.
    """
    file = os.environ.get(KEYS_FILE)
    return codec_keys(os.environ.get(KEYS), Path(file) if file else None)
