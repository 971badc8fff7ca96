"""The only module that calls Cedar: parse, validate, evaluate. cedarpy's own annotations are partial."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cedarpy
from cedarpy import Entities, PolicySet, Schema, pst

from ..bundle.source import is_too_deep

_FOR_POLICY = "for policy `policy0`, "


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks to do what for whom, with the context of `mapping` and what was approved."""

    agent: str
    tool: str
    tenant: str
    context: Mapping[str, Any]
    approvals: Collection[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What Cedar says. `rules` are the ids that decided, sorted; with any error, `allowed` is False."""

    allowed: bool
    rules: tuple[str, ...]
    errors: tuple[str, ...]


def parsed(text: str) -> pst.PolicySet:
    """The rules of a text.

    Raises:
        ValueError: it is not Cedar, or nests too deeply.
    """
    if is_too_deep(text):
        raise ValueError("an expression nests too deeply, or chains too many operators; use a set and `contains`")
    return cedarpy.policies_to_pst(text)


def prepared(templates: Iterable[pst.Template]) -> PolicySet:
    """Rules ready to be evaluated, under their own ids."""
    return PolicySet.from_pst(pst.PolicySet({}, {template.id: template for template in templates}, ()))


def formatted(templates: Iterable[pst.Template]) -> str:
    """Rules as Cedar text, sorted by id, the same however they were laid out before."""
    ordered = sorted(templates, key=lambda template: template.id)
    return "\n".join(cedarpy.format_policies(str(prepared([template])), 120, 2).strip() + "\n" for template in ordered)


def actions_of(schema: Schema) -> Entities:
    """The actions of a schema, with the groups they are members of.

    A schema given at the request adds nothing to entities that were prepared before: made without it, they would
    silently turn every `action in Action::"group:x"` into false.
    """
    return Entities.from_json_str("[]", schema)  # pyright: ignore[reportUnknownMemberType]


def faults(template: pst.Template, schema: Schema) -> list[str]:
    """What Cedar's validator says against one rule, each once, in a stable order."""
    result = cedarpy.validate_policies(str(prepared([template])), schema)  # pyright: ignore[reportUnknownMemberType]
    return sorted({error.error.replace(_FOR_POLICY, "") for error in result.errors})


def evaluate(policies: PolicySet, question: Question, entities: Entities, schema: Schema | None) -> Answer:
    """Asks Cedar once, with a schema to hold the context against. Whatever keeps it from an answer is an error."""
    request = {
        "principal": {"type": "Agent", "id": question.agent},
        "action": {"type": "Action", "id": question.tool},
        "resource": {"type": "Tenant", "id": question.tenant},
        "context": json.dumps({**question.context, "approvals": sorted(question.approvals)}),
    }
    try:
        result = cedarpy.is_authorized(request, policies, entities, schema)  # pyright: ignore[reportUnknownMemberType]
        errors, decision = tuple(result.diagnostics.errors), result.decision
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        return Answer(False, (), (f"{type(error).__name__}: {error}",))
    # INVARIANT: a rule that fails is skipped by Cedar, a forbid too; so one error outweighs any answer.
    if errors or decision is cedarpy.Decision.NoDecision:
        return Answer(False, (), errors or ("Cedar came to no decision",))
    return Answer(decision is cedarpy.Decision.Allow, tuple(sorted(result.diagnostics.reasons)), ())
