"""Checks the words that rules ask for where they read where values come from: a misspelt one never holds."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from cedarpy import pst

from backstay.contracts.admission import ToolSpec
from backstay.kernel.nearest import did_you_mean
from backstay.kernel.origins import CONFIG, MODEL, MORE, OWN_WORDS, PARTS, ROLES, TOOL, UNTRUSTED, USER
from backstay.kernel.sourcing import Sourcing

from ..cedar.shape import Scalar, SetOf, is_free_text, shape_of_arguments
from .problem import RuleProblem
from .rule import Origin, Path, Rule, context_path

_ACCEPTED: Final = ("accepted",)
_GUARDED: Final = ("external", "payments", "invites", "destructive")
_SCALARS: Final = ("string", "number", "integer", "boolean", "null")
_ASKED: Final = frozenset({"contains", "contains_any", "contains_all", "eq", "not_eq"})


@dataclass(frozen=True, slots=True)
class Word:
    """A word that a rule asks for: in which part of the context, and whether the rule applies where it is there."""

    path: Path
    text: str
    applies: bool


def words_of(rule: Rule) -> Iterator[Word]:
    """Yields the words that a rule asks for in the parts that say where values come from."""
    for clause in rule.template.clauses:
        yield from _words(clause.expr, isinstance(clause, pst.When))


def misnamed(rule: Rule, tools: Mapping[str, ToolSpec], sourcing: Sourcing) -> list[RuleProblem]:
    """Finds words that can never hold, and permits that rest on what nobody vouches for.

    Args:
        rule: the rule.
        tools: the agent's tools.
        sourcing: the registers that the agent and its organisation have.
    """
    labels = {UNTRUSTED, *(label for tool in tools.values() for label in tool.marked.labels)}
    problems: list[RuleProblem] = []
    for word in words_of(rule):
        if found := _unknown(word, rule, tools, labels, sourcing):
            problems.append(RuleProblem(rule.where, f"`{rule.id}`: {found[0]}", found[1]))
        elif rule.permits and word.applies and word.text in {MODEL, *labels}:
            what = f"`{rule.id}`: a permit rests on `{word.text}`, for which nobody vouches"
            problems.append(RuleProblem(rule.where, what, "permit by what is trusted, and forbid the rest"))
    return problems


def turned_round(rule: Rule) -> Iterator[RuleProblem]:
    """Finds forbids that apply where the user has named something, which is usually meant the other way round."""
    whens = [word for word in words_of(rule) if word.text == USER and word.applies and word.path != _ACCEPTED]
    if not rule.permits and whens and not any(not word.applies for word in words_of(rule)):
        for word in whens:
            what = f"`{rule.id}`: it forbids what the user has named: `context.{'.'.join(word.path)}` has `user`"
            yield RuleProblem(rule.where, what, "is it meant as `unless { ... }`?")


def evaded_by_one(rule: Rule, agent: str, tools: Mapping[str, ToolSpec]) -> Iterator[RuleProblem]:
    """Finds forbids by a source of a list: it must hold for every entry, so that one other entry evades them."""
    if rule.permits:
        return
    covered = [tool for name, tool in tools.items() if rule.covers(agent, name, _groups(tool))]
    for word in words_of(rule):
        source = word.text.startswith((CONFIG, TOOL)) and word.text != MORE
        if word.applies and source and any(_holds_several(word.path, tool) for tool in covered):
            what = f"`{rule.id}`: `{word.text}` has to hold for every entry of `context.{'.'.join(word.path)}`"
            yield RuleProblem(rule.where, what, "say what is allowed, as in `unless { ... }`, or forbid by a label")


def without_roles(agent: str, tools: Mapping[str, ToolSpec]) -> Iterator[RuleProblem]:
    """Finds tools of guarded groups that do not say what their arguments are: the ready rules see nothing of them."""
    for name, tool in tools.items():
        guarded = [group for group in _GUARDED if group in tool.groups]
        wants = "items" if guarded == ["destructive"] else "targets"
        if guarded and not any(tool.roles.of(role) for role in ROLES):
            what = f"`{name}` is in the group `{guarded[0]}` and does not say what its arguments are"
            yield RuleProblem(agent, what, f"declare them: `@tool({wants}=[...], texts=[...])`")
        for argument in _unseen(tool) if guarded else ():
            what = f"`{name}`: nobody looks at what `{argument}` copies, because it is not among the tool's `texts`"
            yield RuleProblem(agent, what, "add it, or say what else it is: `targets`, `items`")


def sees_nothing(rule: Rule, agent: str, tools: Mapping[str, ToolSpec]) -> bool:
    """Tells whether a rule reads what arguments are, and none of the tools that it covers says so of its own."""
    if not any(rule.reads.depends_on((role,)) for role in ROLES):
        return False
    covered = [tool for name, tool in tools.items() if rule.covers(agent, name, _groups(tool))]
    return not any(tool.roles.of(role) for tool in covered for role in ROLES)


def _unseen(tool: ToolSpec) -> list[str]:
    """Returns the arguments that take any text and have no role, where the tool says which are its texts."""
    if not tool.roles.texts:
        return []
    named = {name for role in ROLES for name in tool.roles.of(role)}
    shapes = shape_of_arguments(tool.parameters).attributes
    texts = [name for name, attribute in shapes.items() if attribute.shape in (Scalar.STRING, SetOf(Scalar.STRING))]
    return [name for name in texts if name not in named and is_free_text(tool.parameters, (name,))]


def _groups(tool: ToolSpec) -> set[str]:
    return {f"effect:{tool.effect}", *(f"group:{one}" for one in tool.groups)}


def _holds_several(path: Path, tool: ToolSpec) -> bool:
    """Tells whether a part of the context is about several values: of a list, of an object, or of two arguments."""
    names = tool.roles.of(path[0]) if path[0] in ROLES else path[1:]
    schemas: Mapping[str, object] = tool.parameters.get("properties", {})
    there = [schemas[name] for name in names if name in schemas]
    return len(there) > 1 or not all(_is_scalar(schema) for schema in there)


def _is_scalar(schema: object) -> bool:
    if not isinstance(schema, dict):
        return False
    fields = cast("dict[str, object]", schema)
    choices = cast("list[object]", fields.get("anyOf", []))
    return all(map(_is_scalar, choices)) if choices else fields.get("type") in _SCALARS


def _unknown(
    word: Word, rule: Rule, tools: Mapping[str, ToolSpec], labels: Collection[str], sourcing: Sourcing
) -> tuple[str, str] | None:
    """Returns why a word can never hold, and the mend; None for one that can."""
    text, org = word.text, rule.origin is Origin.ORG
    if word.path[:1] == _ACCEPTED:
        if text in ROLES:
            return None
        return f"`accepted` never has `{text}`", f"it has {', '.join(f'`{role}`' for role in ROLES)}"
    if text.startswith(CONFIG):
        known = sorted(one.name for one in sourcing.registers if one.org or not org)
        name = text.removeprefix(CONFIG)
        mend = did_you_mean(name, known) or "name it under `[registers]`" + (" of org.toml" if org else "")
        return None if name in known else (f"there is no register `{name}`", mend)
    if text.startswith(TOOL):
        return None if org or text == MORE else _no_field(text, tools)
    if text in OWN_WORDS or text in labels or org:
        return None
    mend = (
        did_you_mean(text, [*OWN_WORDS, *labels]) or f"known are {_listed({*OWN_WORDS, *labels})}, and labels of tools"
    )
    return f"`{text}` is no source and no label", mend


def _no_field(text: str, tools: Mapping[str, ToolSpec]) -> tuple[str, str] | None:
    """Returns why a field of a result vouches for nothing, and the mend; None for one that may."""
    name = text.removeprefix(TOOL)
    tool = next((tool for tool in tools.values() if name == tool.name or name.startswith(f"{tool.name}.")), None)
    if tool is None:
        return f"`{text}` names no tool of the agent", did_you_mean(name.partition(".")[0], tools) or "is it misspelt?"
    path = tuple(name.removeprefix(tool.name).split(".")[1:])
    labels = tool.marked.labels_at(path) if path else tool.marked.everywhere
    if not labels:
        return None
    mend = "ask for the label, or name the field under `clean`" if UNTRUSTED in labels else "ask for the label"
    return f"`{text}` never holds: what stands there is {_listed(labels)}", mend


def _words(node: Any, applies: bool) -> Iterator[Word]:
    match node:
        case pst.UnaryOp("not", arg):
            yield from _words(arg, not applies)
        case pst.BinaryOp("and" | "or", left, right):
            yield from _words(left, applies)
            yield from _words(right, applies)
        case pst.IfThenElse(cond, then, otherwise):
            for part in (cond, then, otherwise):
                yield from _words(part, applies)
        case pst.BinaryOp(op, left, right) if op in _ASKED:
            for side, other in ((left, right), (right, left)):
                path: Path = context_path(side) or ()
                if path and path[0] in PARTS:
                    yield from (Word(path, text, applies is (op != "not_eq")) for text in _texts(other))
        case _:
            pass


def _texts(node: Any) -> list[str]:
    if isinstance(node, pst.StringLit):
        return [node.value]
    return [text for one in node.elements for text in _texts(one)] if isinstance(node, pst.Set) else []


def _listed(words: Collection[str]) -> str:
    return ", ".join(f"`{word}`" for word in sorted(words))
