"""Random rules and calls: a verdict never allows more than Cedar does by the same rules and the same call."""

import itertools
import json
import os
from dataclasses import dataclass
from typing import Any

import cedarpy
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backstay.contracts.policy import PolicyCall, RunFacts
from backstay.kernel.verdict import Code, Outcome
from policies.bundle.build import AgentPolicy, build
from policies.bundle.source import RuleFile
from policies.judge import judge

from .conftest import call_of, spec

pytestmark = pytest.mark.soak

FULL = os.environ.get("BACKSTAY_SOAK") == "1"
MANY = settings(max_examples=3_000 if FULL else 100, derandomize=not FULL, deadline=None)

GROUPS = {"a": ["1", "2", "3"], "b": ["1"]}
SPECS = ["a", "a:2", "b", None]
SCOPES = ["action", 'action == Action::"t"', 'action in Action::"group:g"', 'action in [Action::"u"]']
TENANTS = ["resource", 'resource == Tenant::"x"', 'resource == Tenant::"y"']
CONDITIONS = [
    "true",
    "context.run.step > 2",
    'context.run.taint.contains("untrusted")',
    'context.input.amount.greaterThan(decimal("10.0"))',
    'context.input.amount.lessThanOrEqual(decimal("99.5"))',
    'context.input.label == "x"',
    'context.input.label like "*x*"',
    "context.input has count && context.input.count > 1",
    "!(context.input has count)",
    "context.input has count && context.input.count + 1 > 0",
    '["red", "blue"].containsAll(context.input.tags)',
    "context.env.incident",
    'context.input.amount == decimal("50.0")',
]
_INPUT = {
    "type": "object",
    "properties": {
        "amount": {"type": "number"},
        "count": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "label": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["amount", "label", "tags"],
}
TOOLS = {"t": spec("t", "write", ("g",), _INPUT), "u": spec("u", "read", (), _INPUT)}
PARENTS = {"t": ["effect:write", "group:g"], "u": ["effect:read"]}


@dataclass(frozen=True)
class Line:
    """One rule, by the words it is made of."""

    effect: str
    scope: str
    tenant: str
    when: tuple[str, ...]
    unless: str | None
    spec: str | None

    def text(self, number: int, *, plain: bool) -> str:
        lifted = f' unless {{ context.approvals.contains("{self.spec}") }}'
        marked = f' @approval("{self.spec}")' if self.spec else ""
        body = "".join(f" when {{ {condition} }}" for condition in self.when)
        body += f" unless {{ {self.unless} }}" if self.unless else ""
        body += lifted if self.spec and plain else ""
        return f'@id("r{number}"){"" if plain else marked} {self.effect}(principal, {self.scope}, {self.tenant}){body};'


def _lines() -> st.SearchStrategy[Line]:
    conditions = st.lists(st.sampled_from(CONDITIONS), max_size=2).map(tuple)
    common = (st.sampled_from(SCOPES), st.sampled_from(TENANTS), conditions, st.none() | st.sampled_from(CONDITIONS))
    permits = st.builds(Line, st.just("permit"), *common, st.none())
    return permits | st.builds(Line, st.just("forbid"), *common, st.sampled_from(SPECS))


ARGUMENTS = st.fixed_dictionaries(
    {
        "amount": st.sampled_from([0, 10, 10.0001, 50, 50.0, 99.5, 100.25, 1e6]),
        "label": st.sampled_from(["x", "axb", "", "y"]),
        "tags": st.lists(st.sampled_from(["red", "blue", "green"]), max_size=3),
    },
    optional={"count": st.sampled_from([None, -1, 0, 2, 2**63 - 1])},
)
UNHELD = st.fixed_dictionaries(
    {
        "amount": st.sampled_from([0.00001, 10**30, 50]),
        "label": st.sampled_from(["x", "\ud800"]),
        "tags": st.just(["red"]),
    },
    optional={"count": st.sampled_from([2, 2**63]), "other": st.just({"__entity": {"type": "Agent", "id": "admin"}})},
)
WHO = st.fixed_dictionaries({"tool": st.sampled_from(["t", "u"]), "tenant": st.sampled_from(["x", "y"])})
RUN = st.builds(
    RunFacts,
    step=st.integers(0, 4),
    spent_usd=st.just(0),
    tool_calls=st.just(0),
    tool_calls_60s=st.just({}),
    taint=st.sampled_from([[], ["untrusted"]]),
)
GRANTED = st.frozensets(st.sampled_from(["a", "a:2", "b"]))


def _bundle(lines: list[Line]) -> Any:
    own = RuleFile("policy.cedar", "\n".join(line.text(n, plain=False) for n, line in enumerate(lines)))
    # The tools are permitted under a condition that never holds, so that any set of rules can be put in force.
    floor = '@id("floor") permit(principal, action, resource) when { context.env.now == 1 };'
    return build(AgentPolicy("agent", list(TOOLS.values()), own, "explicit", groups=GROUPS), [RuleFile("org", floor)])


def _expanded(approvals: frozenset[str]) -> list[str]:
    return sorted(approvals | ({"a"} if "a:2" in approvals else set[str]()))


def _cedar(lines: list[Line], request: PolicyCall, approvals: frozenset[str]) -> cedarpy.AuthzResult:
    """Cedar without any of our code: rules as text, entities and context by hand, no schema."""
    amount = {"__extn": {"fn": "decimal", "arg": f"{request.arguments['amount']:.4f}"}}
    context = {
        "input": {key: value for key, value in request.arguments.items() if value is not None} | {"amount": amount},
        "run": {"step": request.run.step, "taint": sorted(request.run.taint)},
        "env": {"incident": request.incident, "now": 0},
        "approvals": _expanded(approvals),
    }
    entities = [
        {
            "uid": {"type": "Action", "id": name},
            "attrs": {},
            "parents": [{"type": "Action", "id": parent} for parent in parents],
        }
        for name, parents in PARENTS.items()
    ]
    asked = {"principal": 'Agent::"agent"', "action": f'Action::"{request.tool.name}"'}
    asked |= {"resource": f'Tenant::"{request.tenant}"', "context": json.dumps(context)}
    return cedarpy.is_authorized(asked, "\n".join(line.text(n, plain=True) for n, line in enumerate(lines)), entities)


def _allows(result: cedarpy.AuthzResult) -> bool:
    return result.allowed and not result.diagnostics.errors


def _request(who: dict[str, str], arguments: dict[str, Any], run: RunFacts, **more: Any) -> PolicyCall:
    tool = TOOLS[who["tool"]]
    return call_of(tool, arguments, agent="agent", tenant=who["tenant"], **run.model_dump(), **more)


ANY = ("true",)
_SWITCH = Line("permit", "action", "resource", ANY, None, None)


@MANY
@given(st.lists(_lines(), max_size=6), WHO, ARGUMENTS, RUN, st.booleans(), GRANTED)
@example(
    [
        _SWITCH,
        Line("forbid", "action", "resource", (), None, "a"),
        Line("forbid", "action", "resource", (), None, "a:2"),
    ],
    {"tool": "t", "tenant": "x"},
    {"amount": 1, "label": "x", "tags": []},
    RunFacts(step=0, spent_usd=0, tool_calls=0),
    False,
    frozenset[str](),
)
def test_a_verdict_says_what_cedar_says(
    lines: list[Line],
    who: dict[str, str],
    arguments: dict[str, Any],
    run: RunFacts,
    incident: bool,
    approvals: frozenset[str],
) -> None:
    request = _request(who, arguments, run, incident=incident, approvals=approvals)
    verdict = judge(_bundle(lines), request)
    plain = _cedar(lines, request, approvals)
    assert (verdict.outcome is Outcome.ALLOW) == _allows(plain)
    assert (verdict.code is Code.POLICY_ERROR) == bool(plain.diagnostics.errors)
    if verdict.outcome is not Outcome.REQUIRE_APPROVAL:
        assert verdict.groups == ()
    elif not plain.diagnostics.errors:
        assert _allows(_cedar(lines, request, approvals | set(verdict.groups)))
        for fewer in itertools.combinations(verdict.groups, len(verdict.groups) - 1):
            assert not _allows(_cedar(lines, request, approvals | set(fewer)))
    if verdict.outcome is Outcome.DENY:
        assert not _allows(_cedar(lines, request, frozenset({"a:2", "b"})))


@MANY
@given(st.lists(_lines(), max_size=5), WHO, UNHELD, RUN, GRANTED)
def test_a_value_left_out_never_turns_a_no_into_a_yes(
    lines: list[Line], who: dict[str, str], arguments: dict[str, Any], run: RunFacts, approvals: frozenset[str]
) -> None:
    request = _request(who, arguments, run, approvals=approvals)
    bundle = _bundle([_SWITCH, *lines])
    verdict = judge(bundle, request)
    unheld = _unheld(arguments)
    scopes = (
        ("action", 'action == Action::"t"', 'action in Action::"group:g"')
        if who["tool"] == "t"
        else ("action", SCOPES[3])
    )
    tenants = ("resource", f'resource == Tenant::"{who["tenant"]}"')
    readers = {
        f"r{number}"
        for number, line in enumerate([_SWITCH, *lines])
        if line.scope in scopes and line.tenant in tenants
        for condition in (*line.when, line.unless or "")
        if any(f"context.input.{name}" in condition or f"context.input has {name}" in condition for name in unheld)
    }
    assert (verdict.code is Code.POLICY_ERROR) == bool(readers)
    assert not readers or set(verdict.rules) == readers
    if not readers:
        held = {"amount": 1, "label": "", "tags": [], **{key: arguments[key] for key in arguments.keys() - unheld}}
        plain = _cedar([_SWITCH, *lines], _request(who, held, run), approvals)
        assert (verdict.outcome is Outcome.ALLOW) == _allows(plain)


def _unheld(arguments: dict[str, Any]) -> set[str]:
    bad: dict[str, tuple[Any, ...]] = {"amount": (0.00001, 10**30), "label": ("\ud800",), "count": (2**63,)}
    return {key for key, value in arguments.items() if key == "other" or value in bad.get(key, ())}
