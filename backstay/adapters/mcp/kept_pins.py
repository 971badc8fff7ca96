"""Keeps what a worker pinned the tools of a server by, so that the next look can say what has changed."""

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ..secret.fleet import state_folder

_ABOUT = "server info"
"""Stands among the names of tools, of which none has a blank."""


def kept_pins(agent: str, server: str) -> dict[str, str] | None:
    """Returns the digests of a server's tools as a worker on this machine pinned them last; None where none has."""
    found = _kept(agent, server)
    return None if found is None else {name: digest for name, digest in found.items() if name != _ABOUT}


def kept_about(agent: str, server: str) -> str | None:
    """Returns the name and version that a server gave itself when it was pinned last; None where nobody knows."""
    return (_kept(agent, server) or {}).get(_ABOUT)


def keep_pins(agent: str, server: str, digests: Mapping[str, str], about: str = "") -> None:
    """Keeps the digests of a server's tools; where nothing can be kept nothing is, which harms no run.

    Args:
        agent: the agent.
        server: its own name for the server.
        digests: those of the tools.
        about: the name and version that the server gives itself.
    """
    file = _file(agent, server)
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as draft:
            json.dump({**digests, _ABOUT: about}, draft, sort_keys=True)
        os.replace(draft.name, file)


def _kept(agent: str, server: str) -> dict[str, str] | None:
    try:
        found: Any = json.loads(_file(agent, server).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return {str(name): str(digest) for name, digest in cast("dict[Any, Any]", found).items()}


def _file(agent: str, server: str) -> Path:
    return state_folder() / "mcp" / f"{agent}~{server}.json"
