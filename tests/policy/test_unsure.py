"""Rules that ask for fields of results: where fields are left out, a rule denies what it would deny with them."""

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.contracts.policy import PolicyCall, RunFacts
from backstay.kernel.origins import MORE, MOST_FIELDS, Origins, TooLongError, bounded
from backstay.kernel.verdict import Outcome
from policies.bundle.build import AgentPolicy, Bundle, build
from policies.bundle.problem import PolicyProblems
from policies.bundle.source import RuleFile
from policies.judge import judge

from .conftest import GROUPS, spec

TO = {"type": "array", "items": {"type": "string"}}
SEND = spec("send", "once", ("external",), {"type": "object", "properties": {"to": TO}, "required": ["to"]})
FIELDS = [f"tool:send.f{number:02}" for number in range(MOST_FIELDS + 4)]
PLACES = ("targets", "sources.to", "parts")
CALL = PolicyCall(
    agent="shop",
    tenant="acme",
    tool=SEND,
    arguments={"to": ["ann@acme.com"]},
    facts={"named_by_user": [], "named_weakly": [], "local_addresses": []},
    run=RunFacts(step=1, spent_usd=0, tool_calls=0),
    now=1,
    digest="sha256:call",
)


def bundle(effect: str, condition: str) -> Bundle:
    rule = f'@id("own") {effect}(principal, action == Action::"send", resource) {condition};'
    permit = "listed" if effect == "forbid" else "explicit"
    return build(AgentPolicy("shop", [SEND], RuleFile("policy.cedar", rule), permit, groups=GROUPS))


def allowed(rules: Bundle, origins: Origins) -> bool:
    return judge(rules, replace(CALL, origins=origins)).outcome is Outcome.ALLOW


def origins(to: set[str], targets: set[str], parts: set[str]) -> Origins:
    return Origins({"to": tuple(sorted(to))}, tuple(sorted(targets)), parts=tuple(sorted(parts)))


def told(whole: Origins) -> list[Origins]:
    """The same as verdicts tell it: in the usual room, and in hardly any."""
    short = replace(
        whole, sources={"to": bounded(whole.sources["to"])}, targets=bounded(whole.targets), parts=bounded(whole.parts)
    )
    found = [short]
    with contextlib.suppress(TooLongError):  # the call is refused then, whatever rules say
        found.append(short.fitting(40))
    return found


def quoted(words: list[str]) -> str:
    return json.dumps(words)


def conditions(words: list[str]) -> st.SearchStrategy[str]:
    place, word, some = st.sampled_from(PLACES), st.sampled_from(words), st.lists(st.sampled_from(words), min_size=1)
    asked = st.one_of(
        st.builds('context.{}.contains("{}")'.format, place, word),
        st.builds("context.{}.containsAny({})".format, place, some.map(quoted)),
        st.builds("context.{}.containsAll({})".format, place, some.map(quoted)),
        st.builds("{1}.containsAny(context.{0})".format, place, some.map(quoted)),
        st.builds("context.{}.isEmpty()".format, place),
    )
    joined = st.recursive(
        asked,
        lambda inner: st.one_of(
            st.builds("!({})".format, inner),
            st.builds("({} && {})".format, inner, inner),
            st.builds("({} || {})".format, inner, inner),
            st.builds("(if context.run.step > 0 then {} else {})".format, inner, inner),
        ),
        max_leaves=4,
    )
    return st.builds("{} {{ {} }}".format, st.sampled_from(["when", "unless"]), joined)


SETS = st.sets(st.sampled_from([*FIELDS, "user", "record", "untrusted"]))
RULES = st.one_of(
    st.tuples(st.just("forbid"), conditions([*FIELDS, "user", "record", "model", "untrusted"])),
    st.tuples(st.just("permit"), conditions([*FIELDS, "user", "record"])),
)


@settings(max_examples=100, deadline=None)
@given(RULES, st.lists(st.builds(origins, SETS, SETS, SETS), min_size=1, max_size=8))
def test_what_is_left_out_never_lets_a_call_through(rule: tuple[str, str], calls: list[Origins]) -> None:
    rules = bundle(*rule)
    for whole in calls:
        if not allowed(rules, whole):
            assert not any(allowed(rules, short) for short in told(whole)), whole


@pytest.mark.parametrize("number", range(len(FIELDS)))
def test_a_forbid_by_a_field_holds_whichever_fields_are_told(number: int) -> None:
    rules = bundle("forbid", f'when {{ context.targets.contains("{FIELDS[number]}") }}')
    everywhere = Origins(targets=bounded(FIELDS))
    assert MORE in everywhere.targets
    assert not allowed(rules, everywhere)
    assert not allowed(rules, Origins(targets=(FIELDS[number],)))
    assert allowed(rules, Origins(targets=(FIELDS[number - 1], "user")))


def test_an_exception_by_a_field_needs_the_field_itself() -> None:
    rules = bundle("forbid", f'unless {{ context.targets.contains("{FIELDS[-1]}") }}')
    assert not allowed(rules, Origins(targets=bounded(FIELDS)))
    assert allowed(rules, Origins(targets=(FIELDS[-1],)))


def test_the_rules_in_force_show_what_they_count_as_a_field() -> None:
    text = bundle("forbid", 'when { context.targets.contains("tool:send.f00") }').normalised()
    assert 'containsAny(["tool:send.f00", "tool:*"])' in text


@pytest.mark.parametrize(
    ("condition", "what"),
    [
        ('when { context.targets == ["tool:send.id"] }', "`context.targets` is not asked for single words"),
        ('unless { context.sources.to != ["tool:send.id"] }', r"`context\.sources\.to` is not asked"),
        ('when { ["user", "tool:send.id"].containsAll(context.targets) }', "is not asked for single words"),
        ('when { context.targets.contains("tool:send.id") == true }', "is not asked for single words"),
        ('when { if context.targets.contains("tool:send.id") then true else false }', "is not asked"),
        ("when { context.targets.containsAny(context.parts) }", "ask with `contains` or `containsAny`"),
        ("when { [context.targets].contains([]) }", "is not asked for single words"),
        ('unless { context.targets.contains("tool:*") }', r"`tool:\*` stands for fields that are not told"),
    ],
)
def test_a_comparison_that_cannot_be_decided_with_fields_left_out_is_an_error(condition: str, what: str) -> None:
    with pytest.raises(PolicyProblems, match=what):
        bundle("forbid", condition)


@pytest.mark.parametrize(
    "condition",
    [
        'when { context.targets == ["model"] }',
        'unless { ["user", "tool:send.id"].containsAll(context.targets) }',
        'unless { context.targets == ["tool:send.id"] }',
        'when { context.carries == ["untrusted"] || context.sources has to }',
        'when { (if context.targets.contains("user") then 1 else 2) == 2 }',
    ],
)
def test_other_comparisons_are_sure_as_they_are(condition: str) -> None:
    assert MORE not in bundle("forbid", condition).normalised()
