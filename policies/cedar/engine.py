"""Calls Cedar, alone among all modules: parse, validate, evaluate. cedarpy's own annotations are partial."""

import functools
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cedarpy
from cedarpy import Entities, PolicySet, Schema, pst

from ..bundle.source import is_too_deep

_FOR_POLICY = "for policy `policy0`, "
_REMEMBERED = 256
_REMEMBERED_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True)
class Request:
    """Cedar's request: principal, action and resource by name, the context without its approvals, and these."""

    agent: str
    tool: str
    tenant: str
    context: Mapping[str, Any]
    approvals: Collection[str]


@dataclass(frozen=True, slots=True)
class Response:
    """Cedar's response: `rules` are the ids that decided, sorted; with any error, `allowed` is False."""

    allowed: bool
    rules: tuple[str, ...]
    errors: tuple[str, ...]


def parsed(text: str) -> pst.PolicySet:
    """Parses the rules of a text.

    Raises:
        ValueError: it is not Cedar, or nests too deeply.
    """
    if is_too_deep(text):
        raise ValueError("an expression nests too deeply, or chains too many operators; use a set and `contains`")
    return cedarpy.policies_to_pst(text)


def prepared(templates: Iterable[pst.Template]) -> PolicySet:
    """Prepares rules for evaluation, under their own ids."""
    return PolicySet.from_pst(pst.PolicySet({}, {template.id: template for template in templates}, ()))


def formatted(templates: Iterable[pst.Template]) -> str:
    """Writes rules as Cedar text, sorted by id, the same whatever their layout was."""
    ordered = sorted(templates, key=lambda template: template.id)
    return "\n".join(cedarpy.format_policies(str(prepared([template])), 120, 2).strip() + "\n" for template in ordered)


def actions_of(schema: Schema) -> Entities:
    """Returns the actions of a schema, with the groups they are members of.

    Cedar ignores the groups of a request's own schema once entities are prepared: without these, every
    `action in Action::"group:x"` would silently be false.
    """
    return Entities.from_json_str("[]", schema)  # pyright: ignore[reportUnknownMemberType]


def faults(template: pst.Template, schema: Schema) -> list[str]:
    """Returns what Cedar's validator finds wrong with one rule, each once, in a stable order."""
    result = cedarpy.validate_policies(str(prepared([template])), schema)  # pyright: ignore[reportUnknownMemberType]
    return sorted({error.error.replace(_FOR_POLICY, "") for error in result.errors})


def evaluate(policies: PolicySet, request: Request, entities: Entities, schema: Schema | None) -> Response:
    """Asks Cedar, and has it check the context against a schema. Anything but a clear decision is an error.

    A short question that was asked before is answered from memory: most calls are judged twice in a second, when they
    are proposed and just before their side effect.
    """
    try:
        context = json.dumps({**request.context, "approvals": sorted(request.approvals)})
        ask = _remembered if len(context) <= _REMEMBERED_CHARACTERS else _ask
        return ask(policies, entities, schema, request.agent, request.tool, request.tenant, context)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        return Response(False, (), (f"{type(error).__name__}: {error}",))


def _ask(
    policies: PolicySet, entities: Entities, schema: Schema | None, agent: str, tool: str, tenant: str, context: str
) -> Response:
    asked = {
        "principal": {"type": "Agent", "id": agent},
        "action": {"type": "Action", "id": tool},
        "resource": {"type": "Tenant", "id": tenant},
        "context": context,
    }
    result = cedarpy.is_authorized(asked, policies, entities, schema)  # pyright: ignore[reportUnknownMemberType]
    errors, decision = tuple(result.diagnostics.errors), result.decision
    # INVARIANT: Cedar skips a rule that fails, even a forbid; so one error outweighs any decision.
    if errors or decision is cedarpy.Decision.NoDecision:
        return Response(False, (), errors or ("Cedar came to no decision",))
    return Response(decision is cedarpy.Decision.Allow, tuple(sorted(result.diagnostics.reasons)), ())


# A decision depends on nothing but these, each of which is compared whole: rules and schemas by their identity.
_remembered = functools.lru_cache(maxsize=_REMEMBERED)(_ask)
