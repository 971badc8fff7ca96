"""How values become payloads: pydantic's JSON, encrypted where there are keys.

What stays readable in Temporal with encryption on: ids (of runs, activities and updates), names (of workflows,
activities, signals, task queues and tools' error types), times, search attributes, reasons of a terminate or a cancel.
"""

import dataclasses
import os
from pathlib import Path

from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes

from backstay.settings import Settings

from .keys import KEYS, KEYS_FILE, codec_keys
from .tolerant import TolerantPayloadConverter


def data_converter(settings: Settings | None = None) -> DataConverter:
    """The one converter of workers and clients; without `settings`, as the environment says.

    With keys, messages and stack traces of failures are encrypted too.

    Raises:
        ConfigurationError: the keys cannot be used.
    """
    keys = codec_keys(settings.codec_keys, settings.codec_keys_file) if settings else keys_of_environment()
    plain = DataConverter(payload_converter_class=TolerantPayloadConverter)
    if not keys:
        return plain
    from .codec import EncryptingCodec  # cryptography is loaded where it is used only

    return dataclasses.replace(
        plain,
        payload_codec=EncryptingCodec(keys),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def for_worker(converter: DataConverter) -> DataConverter:
    """The same, for a worker: what somebody sends and no key opens is refused, and stops nothing."""
    lenient = getattr(converter.payload_codec, "lenient", None)
    return dataclasses.replace(converter, payload_codec=lenient()) if lenient else converter


def keys_of_environment() -> dict[str, bytes]:
    """The codec's keys as the environment has them.

    Raises:
        ConfigurationError: the keys cannot be used.
    """
    file = os.environ.get(KEYS_FILE)
    return codec_keys(os.environ.get(KEYS), Path(file) if file else None)
