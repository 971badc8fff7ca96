"""Lists the generated pages and files."""

from pathlib import Path

from .agent_toml import agent_toml, org_toml, toml_schemas
from .cases_toml import cases_toml
from .commands import commands
from .facts import facts
from .messages import messages, schemas
from .metrics import metrics
from .settings import settings
from .stop_reasons import stop_reasons
from .tool import tool

FOLDER = Path(__file__).resolve().parents[1] / "reference"


def reference() -> dict[str, str]:
    """Returns every generated file: its text, by its path below `docs/reference/`."""
    return {
        "agent-toml.md": agent_toml(),
        "org-toml.md": org_toml(),
        "cases-toml.md": cases_toml(),
        "tool.md": tool(),
        "facts.md": facts(),
        "stop-reasons.md": stop_reasons(),
        "messages.md": messages(),
        "commands.md": commands(),
        "settings.md": settings(),
        "metrics.md": metrics(),
        **schemas(),
        **toml_schemas(),
    }


def written() -> set[str]:
    """Returns the paths of the files that stand in the folder now."""
    return {file.relative_to(FOLDER).as_posix() for file in FOLDER.rglob("*") if file.is_file()}
