"""Generates the Cedar schema of one agent from its tools: what rules may name, and its types."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cedarpy import Entities, Schema

from backstay.contracts.admission import ToolSpec
from backstay.kernel.ledger_period import Period
from backstay.kernel.origins import PARTS
from backstay.tools.facts import EVERY_TOOLS_FACTS

from ..bundle.problem import PolicyProblems, RuleProblem
from .engine import actions_of
from .shape import RESERVED, Attribute, Record, Scalar, SetOf, Shape, shape_of_arguments, sourced_arguments

EFFECTS = ("read", "write", "once")
FACT_TYPES: Mapping[str, Shape] = {
    **{str(scalar): scalar for scalar in Scalar if scalar is not Scalar.NUMERAL},
    "Set<String>": SetOf(Scalar.STRING),
    "Set<Long>": SetOf(Scalar.LONG),
}


def _record(**shapes: Shape) -> Record:
    return Record({name: Attribute(shape, True) for name, shape in shapes.items()}, {})


RUN = _record(
    step=Scalar.LONG,
    spent_usd=Scalar.DECIMAL,
    tool_calls=Scalar.LONG,
    tool_calls_60s=Scalar.LONG,
    taint=SetOf(Scalar.STRING),
)
_WORDS = SetOf(Scalar.STRING)
ENV = _record(incident=Scalar.BOOL, now=Scalar.LONG)
METER = _record(run=Scalar.DECIMAL, day=Scalar.DECIMAL, month=Scalar.DECIMAL)
"""The sums of a meter: that of the run always, the others where they are counted."""
_OF_THE_CALL = frozenset({"input", "facts", "exposure"})
"""The parts of the context that come from the call, where a value may be missing because Cedar cannot hold it."""


Counted = Mapping[str, Mapping[Period, bool]]
"""The meters that ledgers count, in which periods, and whether they do so for every tenant."""


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """The context that rules can read for one tool, and the groups that its action is a member of."""

    context: Record
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class AgentSchema:
    """The schema, ready for use.

    Attributes:
        text: canonical JSON of `strict`.
        strict: rules are validated against it; every certain attribute must be there.
        loose: the same types, but any part of `input`, `facts` and `exposure` may be absent.
        entities: the actions with their groups.
        counted: the meters that ledgers count.
    """

    text: str
    strict: Schema
    loose: Schema
    entities: Entities
    tools: Mapping[str, ToolSchema]
    counted: Counted


def agent_schema(tools: Sequence[ToolSpec], where: str, counted: Counted | None = None) -> AgentSchema:
    """Generates the schema of an agent with these tools.

    Args:
        tools: the tools.
        where: the file that lists them, for problems.
        counted: the meters that ledgers count; default: none.

    Raises:
        PolicyProblems: no schema can be made of the tools.
    """
    problems = list(_problems(tools, where))
    if problems:
        raise PolicyProblems(problems)
    meters = sorted({name for tool in tools for name in tool.exposure})
    counted = {meter: (counted or {}).get(meter, {}) for meter in meters}
    shapes = {meter: _meter(periods) for meter, periods in counted.items()}
    read = {tool.name: _tool_schema(tool, shapes) for tool in tools}
    text = schema_text(read)
    strict = Schema.from_json_str(text)
    loose = Schema.from_json_str(schema_text(read, loose=True))
    return AgentSchema(text, strict, loose, actions_of(strict), read, counted)


def without_origins(schema: AgentSchema) -> AgentSchema:
    """Returns the schema for calls of which no rule reads where their values come from: nobody pays for saying it."""
    read = {
        name: replace(
            tool, context=Record({part: a for part, a in tool.context.attributes.items() if part not in PARTS}, {})
        )
        for name, tool in schema.tools.items()
    }
    strict = Schema.from_json_str(schema_text(read))
    loose = Schema.from_json_str(schema_text(read, loose=True))
    return replace(schema, strict=strict, loose=loose, entities=actions_of(strict), tools=read)


def schema_text(tools: Mapping[str, ToolSchema], *, loose: bool = False, known: Iterable[str] = ()) -> str:
    """Writes the schema as JSON; `known` are further actions that rules may name, although no call has them."""
    groups = {group for tool in tools.values() for group in tool.groups}
    groups |= {f"effect:{effect}" for effect in EFFECTS} | set(known)
    actions: dict[str, Any] = {group: {} for group in groups}
    for name, tool in tools.items():
        actions[name] = {
            "memberOf": [{"id": group} for group in sorted(tool.groups)],
            "appliesTo": {
                "principalTypes": ["Agent"],
                "resourceTypes": ["Tenant"],
                "context": _context(tool.context, loose=loose),
            },
        }
    return json.dumps({"": {"entityTypes": {"Agent": {}, "Tenant": {}}, "actions": actions}}, sort_keys=True)


def _context(context: Record, *, loose: bool) -> dict[str, Any]:
    """Types the parts, which are always there; only those that come from the call may lack something."""
    sections = {
        name: {**_typed(section.shape, loose=loose and name in _OF_THE_CALL), "required": True}
        for name, section in context.attributes.items()
    }
    return {"type": "Record", "attributes": sections}


def _meter(counted: Mapping[Period, bool]) -> Record:
    """Returns the sums that rules can read of a meter; one that only some tenants have counted may be absent."""
    sums = {period.value: Attribute(Scalar.DECIMAL, always) for period, always in counted.items()}
    return Record({"run": Attribute(Scalar.DECIMAL, True), **sums}, {})


def _tool_schema(tool: ToolSpec, meters: Mapping[str, Shape]) -> ToolSchema:
    """Returns what rules can read for one tool; they see the meters of all tools of its agent."""
    kinds = {**tool.facts, **EVERY_TOOLS_FACTS}
    context = _record(
        input=shape_of_arguments(tool.parameters),
        facts=_record(**{name: FACT_TYPES[kind] for name, kind in kinds.items()}),
        run=RUN,
        exposure=_record(**meters),
        sources=_record(**dict.fromkeys(sourced_arguments(tool.parameters), _WORDS)),
        **{part: _WORDS for part in PARTS if part != "sources"},
        env=ENV,
        approvals=SetOf(Scalar.STRING),
    )
    return ToolSchema(context, frozenset({f"effect:{tool.effect}", *(f"group:{name}" for name in tool.groups)}))


def _typed(shape: Shape, *, loose: bool) -> dict[str, Any]:
    match shape:
        case Scalar.DECIMAL | Scalar.NUMERAL:
            return {"type": "Extension", "name": "decimal"}
        case Scalar.BOOL:
            return {"type": "Boolean"}
        case Scalar():
            return {"type": str(shape)}
        case SetOf(element):
            # Elements stay strict: a list that lacks any part of an element is left out as a whole.
            return {"type": "Set", "element": _typed(element, loose=False)}
        case Record(attributes):
            typed = {
                name: {**_typed(attribute.shape, loose=loose), "required": attribute.certain and not loose}
                for name, attribute in attributes.items()
            }
            return {"type": "Record", "attributes": typed}


def _problems(tools: Sequence[ToolSpec], where: str) -> Iterable[RuleProblem]:
    seen: set[str] = set()
    for tool in tools:
        place = f"tool `{tool.name}`"
        if tool.name in seen:
            yield RuleProblem(where, f"{place} is listed twice", "list it once")
        if tool.name.startswith(("effect:", "group:")):
            yield RuleProblem(where, f"{place} has the name of an action group", "rename the tool")
        if any(not _utf8(name) for name in (tool.name, *tool.groups, *tool.facts)):
            yield RuleProblem(where, "a tool, group or fact has a name that is not valid text", "rename it")
        for fact, kind in tool.facts.items():
            if kind not in FACT_TYPES:
                mend = f"use one of {', '.join(f'`{known}`' for known in FACT_TYPES)}"
                yield RuleProblem(where, f"fact `{fact}` of {place} has the unknown type `{kind}`", mend)
            if fact in RESERVED:
                yield RuleProblem(where, f"fact `{fact}` of {place} has a name that Cedar reserves", "rename the fact")
        seen.add(tool.name)


def _utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
