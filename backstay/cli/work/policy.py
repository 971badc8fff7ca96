"""`backstay policy`: checks, tests, explains and shows the rules of agents; needs no model."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from backstay.adapters.agent.folder import Agent
from backstay.adapters.agent.organisation import load_organisation
from backstay.app import folders
from backstay.app.application import agents_of, policy_folders
from backstay.app.rules import gate_of, schema_of
from backstay.checks.cases import FILE, Checked, check_cases, read_cases
from backstay.checks.rules import linted
from backstay.checks.what_if import WhatIf, judged
from backstay.errors import ConfigurationError
from backstay.settings import load_settings

from ..shell.exit import ExitCode
from ..shell.request import read_arguments
from ..shell.terminal import Output, clean, say, write, write_json
from ..views.explanation import as_json, explanation_table


def show(agent: str, output: Output) -> None:
    """Runs `backstay policy show`."""
    gate, agents = _in_force([agent])
    bundle = gate.bundle(agent)
    if output is Output.JSON:
        mode = agents[agent].config.policy.mode
        write_json({"agent": agent, "policy_version": bundle.version, "mode": mode, "rules": _rules(bundle)})
        return
    say(f"{len(bundle.enforced.rules)} rules enforced for {agent}, version {bundle.version}", "dim")
    for one in _rules(bundle):
        state = "" if one["enforced"] else " · observed, not enforced"
        sys.stdout.write(f"// {one['origin']}: {one['where']}{state}\n{one['text']}\n")


def schema(agent: str) -> None:
    """Runs `backstay policy schema`."""
    settings = load_settings()
    found = agents_of(settings, [agent])
    write_json(json.loads(schema_of(found[agent], load_organisation(policy_folders(settings)))))


def check(agents: list[str] | None, observed: bool, limit: int, output: Output) -> None:
    """Runs `backstay policy check`."""
    if observed:
        from .policy_observed import check_observed  # loads the client of Temporal, which no other command here needs

        raise typer.Exit(check_observed(agents or [], limit, output))
    found = linted(load_settings(), agents or [])
    if output is Output.JSON:
        write_json(
            {
                "agents": found.agents,
                "problems": [{"where": one.where, "problem": one.what, "mend": one.mend} for one in found.problems],
                "warnings": [{"where": one.where, "problem": one.what, "mend": one.mend} for one in found.warnings],
            }
        )
    else:
        write(*(clean(str(problem)) for problem in found.problems))
        for warning in found.warnings:
            say(f"warning: {warning}", "yellow")
        say(f"{_counted(len(found.agents), 'agent')}: {_counted(len(found.problems), 'problem')}")
    raise typer.Exit(ExitCode.FAILED if found.problems else ExitCode.COMPLETED)


def try_cases(agents: list[str] | None, output: Output) -> None:
    """Runs `backstay policy test`."""
    gate, known = _in_force(agents or [])
    checked = {name: check_cases(gate, agent, read_cases(agent)) for name, agent in known.items()}
    for name in agents or []:
        if not checked[name]:
            raise ConfigurationError(f"the agent `{name}` has no cases", mend=f"write {known[name].folder / FILE}")
    if output is Output.JSON:
        write_json({"agents": {name: _as_json(cases) for name, cases in checked.items()}})
    else:
        for name, cases in checked.items():
            _print_cases(name, cases)
    failed = any(not case.passed for cases in checked.values() for case in cases)
    raise typer.Exit(ExitCode.FAILED if failed else ExitCode.COMPLETED)


def explain(
    agent: str,
    tool: str,
    args: str,
    goal: str,
    taint: list[str] | None,
    approval: list[str] | None,
    tenant: str,
    output: Output,
) -> None:
    """Runs `backstay policy explain`."""
    gate, agents = _in_force([agent])
    what_if = WhatIf(tool, read_arguments(args), goal, tenant=tenant, approvals=approval or [], taint=taint or [])
    found = judged(gate, agents[agent], what_if)
    value = as_json(agent, tool, found, gate.bundle(agent))
    if output is Output.JSON:
        write_json(value)
    else:
        write(explanation_table(value))


def _in_force(only: Sequence[str]) -> "tuple[folders.gate.Gate, dict[str, Agent]]":
    settings = load_settings()
    agents = agents_of(settings, only)
    return gate_of(agents.values(), load_organisation(policy_folders(settings))), agents


def _rules(bundle: "folders.build.Bundle") -> list[dict[str, Any]]:
    """Lists every rule, enforced or only observed, sorted by id."""
    known = {**(bundle.observed.rules if bundle.observed else {}), **bundle.enforced.rules}
    return [
        {
            "id": rule.id,
            "origin": rule.origin.value,
            "where": rule.where,
            "effect": rule.template.effect,
            "approval": rule.approval.spec if rule.approval else None,
            "reason": rule.reason,
            "enforced": rule.id in bundle.enforced.rules,
            "text": folders.engine.formatted([rule.template]),
        }
        for _, rule in sorted(known.items())
    ]


def _print_cases(name: str, cases: Sequence[Checked]) -> None:
    failed = [case for case in cases if not case.passed]
    if not failed:
        write(f"{name}: {len(cases)} passed" if cases else f"{name}: no cases")
        return
    write(f"{name}: {len(cases) - len(failed)} passed, {len(failed)} failed")
    first = failed[0]
    title = first.case.table.name or first.case.table.tool
    write(f"{first.case.where}: {clean(title)}({_spelled(first.case.table.args)})")
    for one in first.differences:
        write(f"  {one.what:9}expected {one.expected}, got {one.got}")
    if first.message:
        write(f"  the rules say: {clean(first.message)}")


def _as_json(cases: Sequence[Checked]) -> dict[str, Any]:
    failed = [case for case in cases if not case.passed]
    return {
        "passed": len(cases) - len(failed),
        "failed": [
            {
                "where": one.case.where,
                "tool": one.case.table.tool,
                "differences": [{"what": d.what, "expected": d.expected, "got": d.got} for d in one.differences],
                "message": one.message,
            }
            for one in failed
        ],
    }


def _spelled(args: Mapping[str, Any]) -> str:
    return clean(", ".join(f"{key}={value!r}" for key, value in args.items()))


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
