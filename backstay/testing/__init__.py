"""Tests agents without a real model: a server that plays scripts, and the types to write scripts with.

Everything the server sends is marked `scripted`. The server is imported on first use, so that importing the script
types loads no HTTP library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstay.extras import require

from .model.improvise import improvise
from .model.script import (
    JSON,
    MISSING,
    Answer,
    Api,
    Attempts,
    Call,
    Drip,
    Drop,
    Failure,
    Raw,
    RawUsage,
    Reply,
    Request,
    Script,
    Turn,
    Usage,
)
from .model.script_file import ScriptError, read_script

if TYPE_CHECKING:
    from .model.server import ScriptedModel

__all__ = [
    "JSON",
    "MISSING",
    "Answer",
    "Api",
    "Attempts",
    "Call",
    "Drip",
    "Drop",
    "Failure",
    "Raw",
    "RawUsage",
    "Reply",
    "Request",
    "Script",
    "ScriptError",
    "ScriptedModel",
    "Turn",
    "Usage",
    "improvise",
    "read_script",
]


def __getattr__(name: str) -> object:
    if name != "ScriptedModel":
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    require("worker")
    from .model.server import ScriptedModel

    return ScriptedModel
