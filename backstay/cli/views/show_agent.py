"""Shows an agent: every setting in force, the tools, and the rules that can permit or forbid each tool."""

import json
from collections.abc import Sequence
from typing import Any, cast

from backstay.adapters.agent.organisation import load_organisation
from backstay.adapters.tool.placed import PlacedTool
from backstay.app import folders
from backstay.app.application import agents_of, policy_folders
from backstay.app.rules import gate_of
from backstay.checks.settings import Setting, settings_in_force
from backstay.settings import load_settings

from ..shell.exit import ExitCode
from ..shell.terminal import Output, clean, one_line, write, write_json
from .columns import Columns

_LONGEST = 120


def show_agent(name: str, output: Output) -> int:
    """Shows an agent as a worker of this environment would serve it; needs neither Temporal nor a model's key."""
    settings = load_settings()
    places = policy_folders(settings)
    org = load_organisation(places)
    agent = agents_of(settings, [name])[name]
    gate = gate_of([agent], org)
    bundle = gate.bundle(name)
    found = settings_in_force(agent, settings, org, places)
    tools = [_tool(name, tool, bundle) for tool in agent.tools.values()]
    if output is Output.JSON:
        write_json(
            {
                "agent": name,
                "folder": str(agent.folder),
                "agent_version": agent.version,
                "policy_version": bundle.version,
                "settings": [{"key": one.key, "value": one.value, "source": one.source} for one in found],
                "tools": tools,
            }
        )
        return ExitCode.COMPLETED
    write(f"agent {name} · {agent.folder}", "", _settings_table(found))
    if tools:
        write("", _tools_table(tools))
    return ExitCode.COMPLETED


def _tool(agent: str, tool: PlacedTool, bundle: "folders.build.Bundle") -> dict[str, Any]:
    groups = bundle.schema.tools[tool.spec.name].groups
    rules = [rule for rule in bundle.enforced.rules.values() if rule.covers(agent, tool.spec.name, groups)]
    return {
        "name": tool.spec.name,
        "description": tool.spec.description,
        "effect": tool.spec.effect,
        "timeout_seconds": tool.spec.timeout,
        "groups": list(tool.spec.groups),
        "exposure": list(tool.spec.exposure),
        "arguments": _arguments(tool.spec.parameters),
        "permits": sorted(rule.id for rule in rules if rule.permits),
        "forbids": [
            {"id": rule.id, "approval": rule.approval.spec if rule.approval else None}
            for rule in sorted(rules, key=lambda rule: rule.id)
            if not rule.permits
        ],
    }


def _arguments(schema: dict[str, Any]) -> dict[str, str]:
    """Returns the arguments with their types in one word each; `?` marks the optional ones."""
    required = set(cast("list[str]", schema.get("required", ())))
    properties = cast("dict[str, dict[str, Any]]", schema.get("properties", {}))
    return {f"{name}{'' if name in required else '?'}": _type(part) for name, part in properties.items()}


def _type(part: dict[str, Any]) -> str:
    if "$ref" in part:
        return str(part["$ref"]).rpartition("/")[2]
    if "enum" in part:
        return " | ".join(json.dumps(value) for value in part["enum"])
    choices = part.get("anyOf") or part.get("oneOf")
    if choices:
        return " | ".join(dict.fromkeys(_type(choice) for choice in choices))
    if part.get("type") == "array":
        return f"[{_type(part.get('items') or {})}]"
    return str(part.get("format") or part.get("type") or "any")


def _settings_table(found: Sequence[Setting]) -> Columns:
    table = Columns(("setting", "value", "from"))
    for one in found:
        table.add(clean(one.key), _shown(one.value), clean(one.source))
    return table


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), _LONGEST)


def _tools_table(tools: Sequence[dict[str, Any]]) -> Columns:
    table = Columns(("tool", "effect", "timeout", "permitted by", "forbidden by"))
    for tool in tools:
        arguments = ", ".join(f"{name}: {kind}" for name, kind in tool["arguments"].items())
        forbids = [f"{rule['id']}{_lifted(rule['approval'])}" for rule in tool["forbids"]]
        table.add(
            clean(f"{tool['name']}({arguments})"),
            tool["effect"],
            f"{tool['timeout_seconds']:g} s",
            clean(", ".join(tool["permits"])),
            clean(", ".join(forbids)),
        )
    return table


def _lifted(approval: str | None) -> str:
    return f" (lifted by {approval})" if approval else ""
