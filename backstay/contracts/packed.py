"""Packs what may grow large into a message: Temporal takes two megabytes of one, and books may keep thousands of holds.

What is small stays as it is, so that people can read it in the Temporal UI.
"""

import base64
import json
import zlib
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, SerializerFunctionWrapHandler, WrapSerializer

READABLE = 200_000
"""The length of JSON up to which a value is written as it is."""
LONGEST = 50_000_000
"""The most JSON that is unpacked: what was packed may come from anybody."""

V = TypeVar("V")


def _packed(value: object, write: SerializerFunctionWrapHandler) -> Any:
    plain: object = write(value)
    text = json.dumps(plain, separators=(",", ":"))
    if len(text) <= READABLE:
        return plain
    return base64.b64encode(zlib.compress(text.encode())).decode()


def _unpacked(value: object) -> Any:
    if not isinstance(value, str):
        return value
    reading = zlib.decompressobj()
    try:
        text = reading.decompress(base64.b64decode(value, validate=True), LONGEST)
        if not reading.eof:
            raise ValueError("it is cut off, or longer than any that was packed")
        return json.loads(text)
    except (ValueError, zlib.error, RecursionError):
        raise ValueError("expected JSON, or what was packed of it") from None


Packed = Annotated[V, BeforeValidator(_unpacked), WrapSerializer(_packed, when_used="json")]
"""A value that is packed where its JSON is long, and read either way."""
