"""Fakes for tests of agents: a model server that plays scripts, and the words to write a script with.

Everything here says `scripted` of itself. The server is imported when it is first named, so importing the
script's types alone loads no HTTP library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    from .model.server import ScriptedModel

    return ScriptedModel
