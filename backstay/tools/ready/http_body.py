"""Reads the body of an HTTP response up to a limit, packed ones too, and writes it as text for the model."""

import codecs
import hashlib
import json
import zlib
from collections.abc import Callable
from typing import Final

from aiohttp import ClientResponse

from .refusal import Reason, refusal

_GZIP_OR_ZLIB: Final = 47
_CHUNK: Final = 65_536


async def read_body(response: ClientResponse, most: int) -> tuple[bytes, bool]:
    """Reads at most so many bytes of a body; what is left out is never read, nor unpacked.

    Returns:
        The bytes, and whether there are more.

    Raises:
        ToolError: `encoding_refused`: the body is packed in a way that is not unpacked here, or is broken.
    """
    packed = ", ".join(response.headers.getall("Content-Encoding", [])).strip().lower()
    if packed not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise refusal(Reason.ENCODING_REFUSED, "the body is packed otherwise than once by gzip or deflate")
    unpack = None if packed in ("", "identity") else zlib.decompressobj(_GZIP_OR_ZLIB).decompress
    found = bytearray()
    while len(found) <= most and (chunk := await response.content.read(_CHUNK)):
        found += chunk if unpack is None else _unpacked(unpack, chunk, most + 1 - len(found))
    return bytes(found[:most]), len(found) > most


def _unpacked(unpack: Callable[[bytes, int], bytes], chunk: bytes, most: int) -> bytes:
    try:
        return unpack(chunk, most)
    except zlib.error:
        raise refusal(Reason.ENCODING_REFUSED, "the body is not packed as it says") from None


def body_text(data: bytes, cut: bool, charset: str | None) -> str | None:
    """Returns a body as text, its last character whole; None where it is no text."""
    try:
        known = codecs.lookup(charset or "utf-8")
    except LookupError:
        known = codecs.lookup("utf-8")
    if not getattr(known, "_is_text_encoding", True):
        return None
    try:
        text = codecs.getincrementaldecoder(known.name)("strict").decode(data, final=not cut)
    except (UnicodeError, ValueError, LookupError):
        return None
    return None if "\0" in text else text


def no_text(data: bytes, cut: bool) -> str:
    """Returns the note that stands in place of what is no text."""
    if cut:
        return f"[no text: more than {len(data)} bytes]"
    return f"[no text: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}]"


def fitting(text: str, most: int) -> str:
    """Returns the beginning of a text that takes at most so many bytes as JSON."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _size(text[:middle]) <= most else (low, middle - 1)
    return text[:low]


def _size(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace"))
