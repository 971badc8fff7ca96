"""Where the application's folders lie: flat in a checkout, below `backstay` in the wheel."""

import importlib
import sys
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
FLAT = not (PACKAGE / "workflows").is_dir()
ROOT = PACKAGE.parent if FLAT else PACKAGE
SHIPPED_AGENTS = ROOT / "agents"
SHIPPED_POLICIES = ROOT / "policies" / "org"


def folder(name: str) -> Any:
    """A module of the application folders: `workflows.agent_run` in a checkout, below `backstay` in the wheel."""
    if FLAT and sys.path[0] != str(ROOT):
        sys.path.insert(0, str(ROOT))  # another package may own a top-level `workflows`
    return importlib.import_module(name if FLAT else f"backstay.{name}")
