"""Describes the files `agent.toml` and `org.toml` from their models."""

from pydantic import BaseModel

from backstay.adapters.agent.config import AgentConfig
from backstay.adapters.agent.organisation import OrgTable

from .documented import prose
from .fields import rows, sections
from .markdown import page
from .schemas import schema_file

_AGENT = """\
`agents/NAME/agent.toml` says who an agent is. Only `instructions` is required. An unknown key, or a value that does not
fit, keeps the worker from starting, and the error names the file and the line. `backstay show --agent NAME` prints
every setting in force and where it came from.

Editors that check TOML, such as with the extension "Even Better TOML", read [the schema](schemas/agent-toml.json):
write `#:schema PATH` with its path as the first line of the file."""
_ORG = """\
`org.toml` stands beside the organisation's rules, in `policies/org/` or in a folder that `BACKSTAY_POLICIES` names. It
holds for every agent: an agent can neither redefine a group that stands here nor exceed a ceiling. Where several
folders say something, a later folder's group replaces an earlier one, and the lowest ceiling holds. Editors read
[the schema](schemas/org-toml.json)."""


def agent_toml() -> str:
    """Returns the page about `agent.toml`."""
    return toml_page("agent.toml", _AGENT, AgentConfig)


def org_toml() -> str:
    """Returns the page about `org.toml`."""
    return toml_page("org.toml", _ORG, OrgTable)


def toml_schemas() -> dict[str, str]:
    """Returns the JSON Schemas of both files, by the paths of their own files."""
    models = {"agent-toml": AgentConfig, "org-toml": OrgTable}
    return {f"schemas/{name}.json": schema_file(model, "validation") for name, model in models.items()}


def toml_page(file: str, introduction: str, model: type[BaseModel]) -> str:
    """Returns the page about a TOML file: a section for each of its tables."""
    parts: list[str] = []
    for name, inner in sections(model, file):
        title = f"## The top of {file}" if name == file else f"## `[{name}]`"
        parts += [title, prose(inner), rows(inner)]
    return page(file, introduction, *parts)
