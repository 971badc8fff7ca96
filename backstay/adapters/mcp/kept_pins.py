"""Keeps what a worker pinned the tools of a server by, so that the next look can say what has changed."""

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ..secret.fleet import state_folder


def kept_pins(agent: str, server: str) -> dict[str, str] | None:
    """Returns the digests of a server's tools as a worker on this machine pinned them last; None where none has."""
    try:
        found: Any = json.loads(_file(agent, server).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return {str(name): str(digest) for name, digest in cast("dict[Any, Any]", found).items()}


def keep_pins(agent: str, server: str, digests: Mapping[str, str]) -> None:
    """Keeps the digests of a server's tools; where nothing can be kept nothing is, which harms no run."""
    file = _file(agent, server)
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as draft:
            json.dump(dict(digests), draft, sort_keys=True)
        os.replace(draft.name, file)


def _file(agent: str, server: str) -> Path:
    return state_folder() / "mcp" / f"{agent}~{server}.json"
