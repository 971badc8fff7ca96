"""Rules that hold to the letter and are easily evaded: `backstay policy check` warns of them."""

import pytest

from policies.bundle.advice import advised
from policies.bundle.problem import RuleProblem

from .conftest import Rules, spec

TEXT = {"type": "string"}
READ = spec(
    "read",
    "read",
    (),
    {
        "type": "object",
        "properties": {
            "path": TEXT,
            "url": TEXT,
            "country": {"anyOf": [TEXT, {"type": "null"}]},
            "currency": {"enum": ["EUR", "USD"], "type": "string"},
            "level": {"$ref": "#/$defs/Level"},
            "code": {"type": "string", "pattern": "^[A-Z]{2}$"},
            "day": {"type": "string", "format": "date"},
            "days": {"type": "integer"},
            "tags": {"type": "array", "items": TEXT},
            "to": {"type": "object", "properties": {"city": TEXT}, "required": ["city"]},
        },
        "required": ["path", "url", "country", "currency", "level", "code", "day", "days", "tags", "to"],
        "$defs": {"Level": {"enum": ["a", "b"], "type": "string"}},
    },
    {"country": "String", "plain": "String"},
)
HAS = "context.input has country &&"


def doubts(rules: Rules, text: str) -> list[RuleProblem]:
    return [doubt for doubt in advised(rules(text, READ)) if doubt not in OPEN]


OPEN = [
    RuleProblem(
        "support",
        "`read` takes a link in `url`, and no rule says which hosts it may lead to",
        "let the tool declare a fact with `url_host(url)`, and compare that",
    )
]


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("context.input.days > 3", OPEN),
        ('context.input.url == "https://good.example"', []),
        ('context.facts.country == "DE"', []),
        ('context.facts.named_by_user.contains("url")', OPEN),
    ],
)
def test_a_link_that_no_rule_looks_at_is_a_doubt(rules: Rules, condition: str, told: list[RuleProblem]) -> None:
    found = advised(rules(f'@id("a") forbid(principal, action, resource) unless {{ {condition} }};', READ))
    assert [doubt for doubt in found if doubt in OPEN] == told


def test_a_ready_made_tool_judges_its_links_by_itself(rules: Rules) -> None:
    ready = READ.model_copy(update={"ready": True})
    found = advised(rules('@id("a") forbid(principal, action, resource) when { context.input.days > 3 };', ready))
    assert [doubt for doubt in found if doubt in OPEN] == []


def rule(condition: str, head: str = "forbid") -> str:
    return f'@id("r") {head}(principal, action == Action::"read", resource) {condition};'


@pytest.mark.parametrize(
    "condition",
    [
        'when { context.input.path like "/srv/*" }',
        'unless { context.input.path like "/srv/*" }',
        'unless { context.input.days > 1 && !(context.input.to.city like "*/secret/*") }',
        'unless { context.input.url like "https://acme.com/*" }',
        f'when {{ {HAS} context.input.country == "IR" }}',
        'when { "/etc/passwd" == context.input.path }',
        'when { ["a", "b"].contains(context.input.path) }',
        'when { context.input.tags.contains("secret") }',
        'when { context.input.tags.containsAny(["secret"]) }',
        'when { context.input.to.city == "Tehran" || context.input.days > 3 }',
        'unless { context.input.path != "/etc/passwd" }',
        'unless { !(context.input.path == "/etc/passwd") }',
        'when { if context.input.days > 3 then context.input.path == "x" else false }',
    ],
)
def test_a_comparison_that_another_spelling_evades_is_warned_of(rules: Rules, condition: str) -> None:
    [doubt] = doubts(rules, "\n\n" + rule(condition))
    assert doubt.where.endswith(":3")
    assert doubt.what.startswith("`r`: `context.input.")
    assert doubt.mend


def test_a_permit_that_lists_what_it_leaves_out_is_warned_of(rules: Rules) -> None:
    listed = 'unless { context.input.path == "/etc/passwd" }'
    assert len(doubts(rules, rule(listed, "permit"))) == 1


@pytest.mark.parametrize(("name", "told"), [("baseUrl", 1), ("callbackURI", 1), ("webhooks", 1), ("curlFlags", 0)])
def test_a_link_is_known_by_the_last_word_of_its_name(rules: Rules, name: str, told: int) -> None:
    get = spec("get", "read", (), {"type": "object", "properties": {name: TEXT}})
    assert len(advised(rules('@id("a") forbid(principal, action, resource);', get))) == told


@pytest.mark.parametrize(
    "condition",
    [
        'unless { context.input.path == "/srv/a.txt" }',
        'unless { ["a", "b"].contains(context.input.path) }',
        'when { context.input.path != "/srv/a.txt" }',
        'when { context.input.currency == "EUR" }',
        'when { context.input.level == "a" }',
        'when { context.input.code == "IR" }',
        'when { context.input.day == "2024-05-01" }',
        "when { context.input.days == 3 }",
        'when { context.facts.country == "IR" }',
        'unless { context.facts.plain like "/srv/*" }',
        'when { context.input.path like "a" }',
        'when { context.input.path like "*.exe" }',
        "when { context.input.path == context.input.url }",
    ],
)
def test_closed_values_facts_and_lists_of_what_is_allowed_are_fine(rules: Rules, condition: str) -> None:
    assert doubts(rules, rule(condition)) == []


def test_a_rule_that_asks_two_people_cannot_allow_standing_grants(rules: Rules) -> None:
    head = '@id("a") @approval("finance") @grantable("uses:2,hours:1")'
    one = f'{head} forbid(principal, action == Action::"read", resource);'
    assert doubts(rules, one) == []
    assert doubts(rules, one.replace("finance", "finance:2")) == [
        RuleProblem(
            "policy.cedar:1",
            "`a`: `@grantable` has no effect where 2 people must approve",
            "leave it out, or ask one person",
        )
    ]
