"""Checks a rule against the agent's schema, and names what does not fit in the words of agents and tools."""

import re
from collections.abc import Iterable, Mapping

from cedarpy import Schema

from backstay.kernel.ledger_period import Period
from backstay.kernel.nearest import did_you_mean

from ..cedar.engine import faults
from ..cedar.schema import ToolSchema
from ..cedar.shape import Opaque, Record
from .problem import RuleProblem
from .rule import Origin, Path, Rule

_NO_ATTRIBUTE = re.compile(r'attribute `(.+)` in context for Action::"(.*)" not found', re.DOTALL)
_UNSAFE = re.compile(r'safety of access to optional attribute `(.+)` in context for Action::"(.*)"', re.DOTALL)
_NO_ACTION = re.compile(r'unrecognized action `Action::"(.*)"`', re.DOTALL)
_NO_ENTITY = re.compile(r"unrecognized entity type `(.+)`")
_NOT_ALIKE = re.compile(r"the types (.+) and (.+) are not compatible", re.DOTALL)
_NOT_TYPE = re.compile(r"unexpected type: expected (.+) but saw (.+)", re.DOTALL)
_STEP = re.compile(r'([^.\[]+)|\["((?:[^"\\]|\\.)*)"\]')
_ESCAPE = re.compile(r"\\u\{([0-9a-f]+)\}|\\(.)")
_NOWHERE = "unable to find an applicable action"
_DECIMALS = 'a decimal is compared as in `.greaterThan(decimal("100.0"))`'
_FACT = "let the tool declare a fact that computes what the rule needs"


def validated(rule: Rule, agent: str, tools: Mapping[str, ToolSchema], schema: Schema) -> list[RuleProblem]:
    """Finds every way in which a rule does not fit the agent's tools."""
    covered = {name: tool for name, tool in tools.items() if rule.covers(agent, name, tool.groups)}
    found = faults(rule.template, schema)
    # A name that does not exist covers nothing: that is one mistake, not two.
    if any("unrecognized" in fault for fault in found):
        found = [fault for fault in found if _NOWHERE not in fault]
    problems = [_translated(fault, rule, tools) for fault in found]
    if not covered and not problems:
        problems = [_problem(rule, f"it applies to no call of the agent `{agent}`", "mend its scope")]
    return problems + [problem for path in sorted(rule.reads.tests) for problem in _untestable(path, rule, covered)]


def _translated(fault: str, rule: Rule, tools: Mapping[str, ToolSchema]) -> RuleProblem:
    what, mend = fault, ""
    if match := _NO_ATTRIBUTE.search(fault):
        what, mend = _missing(_path(match[1]), _plain(match[2]), tools)
    elif match := _UNSAFE.search(fault):
        what, mend = (
            f"`{match[1]}` of `{_plain(match[2])}` may be absent",
            f"ask first: `{_has(_path(match[1]))} && ...`",
        )
    elif match := _NO_ACTION.search(fault):
        what, mend = f"no tool and no group is named `{_plain(match[1])}`", _nearest(_plain(match[1]), tools)
    elif match := _NO_ENTITY.search(fault):
        what, mend = f"there is no entity type `{match[1]}`", "a principal is an `Agent`, a resource is a `Tenant`"
    elif match := _NOT_ALIKE.search(fault):
        what = f"a {match[1]} and a {match[2]} cannot be compared or mixed"
        mend = _DECIMALS if "decimal" in match.groups() else ""
    elif match := _NOT_TYPE.search(fault):
        what = f"a {match[2]} stands where a {match[1]} must"
        mend = _DECIMALS if "decimal" in match.groups() else ""
    elif _NOWHERE in fault:
        what, mend = "its scope fits none of the agent's tools", 'a group is named with `in`: `action in Action::"..."`'
    return _problem(rule, what, mend)


def _problem(rule: Rule, what: str, mend: str) -> RuleProblem:
    return RuleProblem(rule.where, f"`{rule.id}`: {what}" if rule.id else what, mend)


def _path(text: str) -> Path:
    """Reads a path as Cedar writes it: `input.amount`, or `input["unit price"]`."""
    return tuple(match[1] or match[2] for match in _STEP.finditer(text))


def _plain(text: str) -> str:
    """Undoes the escapes that Cedar writes a name with."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else match[2], text)


def _has(path: Path) -> str:
    def step(name: str, dot: str) -> str:
        return f"{dot}{name}" if name.isidentifier() else (f'["{name}"]' if dot else f'"{name}"')

    return f"context{''.join(step(name, '.') for name in path[:-1])} has {step(path[-1], '')}"


def _missing(path: Path, tool: str, tools: Mapping[str, ToolSchema]) -> tuple[str, str]:
    """Describes a part of the context that a tool lacks, and the mend."""
    section, name = path[0], ".".join(path[1:])
    schema = tools.get(tool)
    why = _lookup(schema.context, path) if schema else None
    if isinstance(why, Opaque):
        return f"the {_kind(section)} `{name}` of `{tool}` {why.why}, which a rule cannot read", _FACT
    known = _names(schema, path[:-1])
    if section == "exposure" and len(path) == 2:
        mend = f"known are {known}" if known else "no tool declares one: `@tool(exposure=...)`"
        return f"no tool of the agent counts a meter `{name}`", mend
    if section == "exposure" and len(path) == 3 and path[2] in tuple(Period):
        mend = f'set `{path[2]} = "5000"` under `[exposure.{path[1]}]`, or `{path[2]} = true` to count without a limit'
        return f"there is no `context.{'.'.join(path)}`: the meter is not counted by {path[2]}", mend
    if section not in ("input", "facts") or not name:
        return f"there is no `context.{'.'.join(path)}`", f"known are {known}"
    mend = f"known are {known}" if known else f"name the tools that have it in the rule's scope: `{tool}` has none"
    return f"`{tool}` has no {_kind(section)} `{name}`", mend


def _untestable(path: Path, rule: Rule, covered: Mapping[str, ToolSchema]) -> Iterable[RuleProblem]:
    """Finds tests that no call can pass: `has` never fails, so a wrong name would quietly switch a rule off."""
    states = {name: _lookup(tool.context, path) for name, tool in covered.items()}
    for name, state in states.items():
        if isinstance(state, Opaque):
            what = f"the {_kind(path[0])} `{'.'.join(path[1:])}` of `{name}` {state.why}, which a rule cannot test"
            yield _problem(rule, what, _FACT)
    # An org rule may speak of arguments and meters that only other agents' tools have; nothing else differs.
    elsewhere = rule.origin is Origin.ORG and path[0] in ("input", "facts", "exposure", "sources") and len(path) > 1
    if states and not elsewhere and all(state is None for state in states.values()):
        first = next(iter(sorted(states)))
        what, mend = _missing(path, first, covered)
        yield _problem(rule, f"{what}, so that `has` is never true", mend)


def _lookup(record: Record, path: Path) -> bool | Opaque | None:
    """Returns True for a part that rules can read, why it is opaque, or None where there is no such part."""
    for name in path[:-1]:
        if name in record.opaque:
            return Opaque(record.opaque[name])
        attribute = record.attributes.get(name)
        if attribute is None or not isinstance(attribute.shape, Record):
            return None
        record = attribute.shape
    if path[-1] in record.opaque:
        return Opaque(record.opaque[path[-1]])
    return True if path[-1] in record.attributes else None


def _names(tool: ToolSchema | None, path: Path) -> str:
    """Lists the parts that rules can name below a path."""
    record = tool.context if tool else None
    for name in path:
        attribute = record.attributes.get(name) if record else None
        record = attribute.shape if attribute and isinstance(attribute.shape, Record) else None
    return ", ".join(f"`{name}`" for name in sorted(record.attributes if record else ()) if name != "approvals")


def _kind(section: str) -> str:
    return {"input": "argument", "facts": "fact"}.get(section, "value")


def _nearest(name: str, tools: Mapping[str, ToolSchema]) -> str:
    known = sorted({*tools, *(group for tool in tools.values() for group in tool.groups)})
    return did_you_mean(name, known) or f"known are {', '.join(f'`{action}`' for action in known)}"
