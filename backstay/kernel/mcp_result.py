"""Writes the answer of an MCP server as the text that a model reads: no picture and no file, but what and how long."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from .characters import escaped

LONGEST_NAME = 200
_LONG_BASE64 = 4_096
"""Longer texts of structured results that are base64 are files, whatever the server calls them."""
_BASE64 = re.compile(r"(?:data:[\w/+.;=-]{1,100},)?([A-Za-z0-9+/_-]+={0,2})")
NOTHING = "(no output)"

Part = Mapping[str, Any]


def answer_text(answer: Part, note: str = "") -> str:
    """Returns the text of an answer: its parts, then its structured content where that says more.

    Args:
        answer: a result of `tools/call`, as JSON.
        note: stands before it, where something is wrong with the answer.
    """
    content: object = answer.get("content")
    parts = cast("list[object]", content) if isinstance(content, list) else []
    structured: object = answer.get("structuredContent")
    if structured is not None:
        parts = [part for part in parts if not _says_the_same(part, structured)]
    texts = [_part(cast("Part", part)) if isinstance(part, dict) else _unknown(part) for part in parts]
    if structured is not None:
        texts.append(json.dumps(_without_files(structured), ensure_ascii=False, separators=(",", ":")))
    whole = "\n".join(text for text in (note, *texts) if text.strip())
    return whole.encode("utf-8", "replace").decode() or NOTHING


def _part(part: Part) -> str:
    write = _KINDS.get(str(part.get("type")))
    return _unknown(part.get("type")) if write is None else write(part)


def _text(part: Part) -> str:
    return _words(part.get("text"))


def _media(part: Part) -> str:
    return _file(str(part.get("type")), part.get("mimeType"), part.get("data"))


def _resource(part: Part) -> str:
    """Writes a resource that the answer brings with it: its text, or what its file is."""
    held: object = part.get("resource")
    resource: Part = cast("Part", held) if isinstance(held, dict) else {}
    place = _named("uri", resource)
    if "blob" in resource:
        return f"[resource {place}] {_file('blob', resource.get('mimeType'), resource['blob'])}"
    return f"[resource {place}]\n{_words(resource.get('text'))}"


def _link(part: Part) -> str:
    """Writes a link to a resource, which is shown and never fetched."""
    return f"[link to a resource: {_named('name', part)} {_named('uri', part)}]"


_KINDS: Mapping[str, Callable[[Part], str]] = {
    "text": _text,
    "image": _media,
    "audio": _media,
    "resource": _resource,
    "resource_link": _link,
}


def _unknown(kind: object) -> str:
    return f"[a part of the kind {escaped(json.dumps(str(kind)[:LONGEST_NAME]))}, which is not shown]"


def _words(value: object) -> str:
    return value if isinstance(value, str) else ""


def _named(key: str, part: Part) -> str:
    return escaped(_words(part.get(key))[:LONGEST_NAME])


def _file(kind: str, mime: object, data: object) -> str:
    """Describes a file: kind, type, length, digest; base64 belongs into no history and no prompt."""
    held = _decoded(_words(data))
    described = {"type": kind, "mime": _words(mime)[:LONGEST_NAME], "bytes": len(held), "sha256": _sha(held)}
    return json.dumps(described, separators=(",", ":"))


def _decoded(text: str) -> bytes:
    """Returns what base64 stands for; the text's own bytes where it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return text.encode("utf-8", "surrogatepass")


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _says_the_same(part: object, structured: object) -> bool:
    """Tells whether a part repeats the structured content as text, as the servers of the SDK do."""
    if not isinstance(part, dict):
        return False
    fields = cast("Part", part)
    text: object = fields.get("text")
    if fields.get("type") != "text" or not isinstance(text, str):
        return False
    inner = cast("Part", structured).get("result") if isinstance(structured, dict) else None
    if isinstance(inner, str) and inner == text and len(cast("Part", structured)) == 1:
        return True
    try:
        return json.loads(text) == structured
    except (ValueError, RecursionError):
        return False


def _without_files(value: object) -> object:
    """Returns a value with a description in place of each long text that is base64."""
    if isinstance(value, str):
        found = _BASE64.fullmatch(value) if len(value) >= _LONG_BASE64 else None
        return value if found is None else json.loads(_file("base64", "", found[1]))
    if isinstance(value, list):
        return [_without_files(one) for one in cast("list[object]", value)]
    if isinstance(value, dict):
        return {name: _without_files(one) for name, one in cast("Mapping[str, object]", value).items()}
    return value
