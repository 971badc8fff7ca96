"""Rules that cannot be put in force, and what their author is told: file, line, what is wrong, the mend."""

import pytest

from backstay.contracts.admission import ToolSpec
from policies.bundle.build import AgentPolicy, build
from policies.bundle.problem import PolicyProblems, RuleProblem
from policies.bundle.source import RuleFile, pieces

from .conftest import DECIMAL, GROUPS, Rules, spec

PAY = spec(
    "pay",
    "write",
    ("money",),
    {
        "type": "object",
        "properties": {
            "amount": DECIMAL,
            "days": {"type": "integer"},
            "memo": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "note": {"type": "string"},
            "to": {"type": "object", "properties": {"iban": {"type": "string"}, "unit name": {"type": "string"}}},
        },
        "required": ["amount", "days", "memo"],
    },
    {"country": "String"},
)
LOOK = spec("look", "read")
TOO_DEEP = "an expression nests too deeply, or chains too many operators; use a set and `contains`"
_HEAD = 'forbid(principal, action == Action::"pay", resource)'


def _problems(rules: Rules, text: str, *tools: ToolSpec, **more: object) -> list[RuleProblem]:
    with pytest.raises(PolicyProblems) as caught:
        rules(text, *(tools or (PAY, LOOK)), **more)
    return caught.value.problems


def _one(rules: Rules, text: str, **more: object) -> RuleProblem:
    problems = _problems(rules, text, **more)
    assert len(problems) == 1, "\n".join(map(str, problems))
    return problems[0]


@pytest.mark.parametrize(
    ("rule", "what", "mend"),
    [
        (f"{_HEAD};", "the rule has no `@id`", 'put `@id("a-short-name")` above it'),
        (f'@id("") {_HEAD};', "the rule has no `@id`", 'put `@id("a-short-name")` above it'),
        (f"@id {_HEAD};", "the rule has no `@id`", 'put `@id("a-short-name")` above it'),
        (f'@id("a\\nb") {_HEAD};', "the `@id` cannot be shown in one line", "use at most 200 printable characters"),
        (
            f'@id("a") @aproval("finance") {_HEAD};',
            "unknown annotation `@aproval`",
            "known are `@id`, `@approval`, `@grantable`, `@reason`, `@description`",
        ),
        (
            '@id("a") @approval("finance") permit(principal, action, resource);',
            "`@approval` stands on a permit: only a forbid can be lifted",
            "write a forbid with `@approval` beside a permit without",
        ),
        (
            f'@id("a") @approval("finance") @grantable("20") {_HEAD};',
            '`@grantable("20")` does not say how many uses for how many hours',
            'write `@grantable("uses:20,hours:8")`, with at most 1000 uses and 720 hours',
        ),
        (
            f'@id("a") @grantable("uses:20,hours:8") {_HEAD};',
            "`@grantable` stands on a rule without `@approval`: nobody is asked",
            "put it beside the `@approval` of a forbid",
        ),
        (
            '@id("a") @grantable("uses:20,hours:8") permit(principal, action, resource);',
            "`@grantable` stands on a rule without `@approval`: nobody is asked",
            "put it beside the `@approval` of a forbid",
        ),
        (
            f'@id("a") @approval {_HEAD};',
            '`@approval("")` names no group',
            'write `@approval("finance")` or `("finance:2")`',
        ),
        (
            f'@id("a") @approval("finance:0") {_HEAD};',
            '`@approval("finance:0")` names no group',
            'write `@approval("finance")` or `("finance:2")`',
        ),
        (
            f'@id("a") @approval("ops") {_HEAD};',
            "the approval group `ops` has no members",
            "name them under `[approval] groups`: `ops = [...]`",
        ),
        (
            f'@id("a") @approval("finance:3") {_HEAD};',
            "3 people of the approval group `finance` must approve, it has 2",
            "name them under `[approval] groups`: `finance = [...]`",
        ),
        (
            f'@id("a") {_HEAD} unless {{ context.approvals.contains("finance") }};',
            "`context.approvals` is read: only `@approval` may lift a rule",
            'put `@approval("group")` on a forbid instead',
        ),
        (
            f'@id("a") @approval("owner") {_HEAD} unless {{ context.approvals.contains("finance") }};',
            "`context.approvals` is read: only `@approval` may lift a rule",
            "leave the `unless` to the loader",
        ),
        (
            f'@id("a") @approval("finance") {_HEAD} when {{ !context.approvals.contains("finance") }};',
            "`context.approvals` is read: only `@approval` may lift a rule",
            "leave the `unless` to the loader",
        ),
        (
            '@id("a") permit(principal, action, resource) when { context.approvals.contains("finance") };',
            "`context.approvals` is read: only `@approval` may lift a rule",
            'put `@approval("group")` on a forbid instead',
        ),
        (
            f'@id("a") {_HEAD} when {{ context has approvals }};',
            "`context.approvals` is read: only `@approval` may lift a rule",
            'put `@approval("group")` on a forbid instead',
        ),
        (
            f'@id("a") {_HEAD} unless {{ {{c: context}}.c.approvals.contains("finance") }};',
            "`context` is used as a whole",
            "name its parts, such as `context.input.amount`",
        ),
        (
            '@id("a") forbid(principal == ?principal, action, resource);',
            "a template, with `?principal` or `?resource`, never applies",
            'name them: `principal == Agent::"support"`, or leave the place open: `principal`',
        ),
        (
            f'@id("a") {_HEAD} when {{ context.run.step = 1 }};',
            "not a Cedar rule: '=' is not a valid operator in Cedar",
            "",
        ),
        (f'@id("a") {_HEAD}', "not a Cedar rule: unexpected end of input", "end each rule with `;`"),
        (f'@id("a") @id("b") {_HEAD};', "not a Cedar rule: duplicate annotation: @id", ""),
        (
            f'@id("a") {_HEAD} when {{ {"!(" * 120}true{")" * 120} }};',
            "not a Cedar rule: expression nesting exceeds the supported limit of 100 levels",
            "",
        ),
        *(
            (
                f'@id("a") {_HEAD} when {{ {text} }};',
                f"not a Cedar rule: {TOO_DEEP}",
                "",
            )
            for text in (
                " || ".join(f"context.input.days == {day}" for day in range(3_000)),
                "(" * 5_000 + "true" + ")" * 5_000,
                "!" * 50_000 + "true",
                "if true then true else " * 5_000 + "true",
                "context" + ".input" * 50_000,
                "context" + '["input"]' * 50_000,
            )
        ),
        (
            '@id("a") forbid(principal, action == Action::"pya", resource);',
            "`a`: no tool and no group is named `pya`",
            "did you mean `pay`?",
        ),
        (
            '@id("a") forbid(principal, action in Action::"group:mony", resource);',
            "`a`: no tool and no group is named `group:mony`",
            "did you mean `group:money`?",
        ),
        (
            '@id("a") forbid(principal, action, resource) unless { action in Action::"xxxxxxxx" };',
            "`a`: no tool and no group is named `xxxxxxxx`",
            "known are `effect:read`, `effect:write`, `group:money`, `look`, `pay`",
        ),
        (
            '@id("a") forbid(principal, action == Action::"group:money", resource);',
            "`a`: its scope fits none of the agent's tools",
            'a group is named with `in`: `action in Action::"..."`',
        ),
        (
            '@id("a") forbid(principal == Agent::"other", action, resource);',
            "`a`: it applies to no call of the agent `support`",
            "mend its scope",
        ),
        (
            '@id("a") forbid(principal == User::"ann", action, resource);',
            "`a`: there is no entity type `User`",
            "a principal is an `Agent`, a resource is a `Tenant`",
        ),
        (
            f'@id("a") {_HEAD} when {{ context.input.amout == 5 }};',
            "`a`: `pay` has no argument `amout`",
            "known are `amount`, `days`, `note`, `to`",
        ),
        (
            '@id("a") forbid(principal, action, resource) when { context.input.days > 5 };',
            "`a`: `look` has no argument `days`",
            "name the tools that have it in the rule's scope: `look` has none",
        ),
        (
            f'@id("a") {_HEAD} when {{ context.facts.land == "de" }};',
            "`a`: `pay` has no fact `land`",
            "known are `country`, `local_addresses`, `named_by_user`, `named_weakly`",
        ),
        (
            f'@id("a") {_HEAD} when {{ context.env.incidnt }};',
            "`a`: there is no `context.env.incidnt`",
            "known are `incident`, `now`",
        ),
        (
            f'@id("a") {_HEAD} when {{ context.args.days > 5 }};',
            "`a`: there is no `context.args`",
            "known are `accepted`, `carries`, `env`, `exposure`, `facts`, `input`, `items`, `parts`, `run`, `sources`, "
            "`targets`, `texts`",
        ),
        (
            f'@id("a") {_HEAD} when {{ context.input has amout && context.input.amout > 5 }};',
            "`a`: `pay` has no argument `amout`, so that `has` is never true",
            "known are `amount`, `days`, `note`, `to`",
        ),
        (
            f'@id("a") {_HEAD} when {{ context.run has steps && context.run.steps > 5 }};',
            "`a`: there is no `context.run.steps`, so that `has` is never true",
            "known are `spent_usd`, `step`, `taint`, `tool_calls`, `tool_calls_60s`",
        ),
        (
            f'@id("a") {_HEAD} when {{ principal has admin && principal.admin }};',
            "`principal has admin` is never true: only `context` has attributes",
            "test a part of `context`",
        ),
        (
            f'@id("a") {_HEAD} when {{ context.input.memo == "x" }};',
            "`a`: the argument `memo` of `pay` is a union of types, which a rule cannot read",
            "let the tool declare a fact that computes what the rule needs",
        ),
        (
            f'@id("a") {_HEAD} when {{ context.input has memo }};',
            "`a`: the argument `memo` of `pay` is a union of types, which a rule cannot test",
            "let the tool declare a fact that computes what the rule needs",
        ),
        (
            f'@id("a") {_HEAD} when {{ context.input.note == "x" }};',
            "`a`: `input.note` of `pay` may be absent",
            "ask first: `context.input has note && ...`",
        ),
        (
            f'@id("a") {_HEAD} when {{ context.input has to && context.input.to["unit name"] == "x" }};',
            '`a`: `input.to["unit name"]` of `pay` may be absent',
            'ask first: `context.input.to has "unit name" && ...`',
        ),
        (
            f'@id("a") {_HEAD} when {{ context.input.amount > 100 }};',
            "`a`: a decimal stands where a Long must",
            'a decimal is compared as in `.greaterThan(decimal("100.0"))`',
        ),
        (
            f'@id("a") {_HEAD} when {{ context.input.amount == 100 }};',
            "`a`: a Long and a decimal cannot be compared or mixed",
            'a decimal is compared as in `.greaterThan(decimal("100.0"))`',
        ),
        (
            f'@id("a") {_HEAD} when {{ context.input.days == "5" }};',
            "`a`: a Long and a String cannot be compared or mixed",
            "",
        ),
        (f'@id("a") {_HEAD} when {{ context.input.days }};', "`a`: a Long stands where a Bool must", ""),
    ],
)
def test_a_mistake_is_named_with_its_line_and_the_mend(rules: Rules, rule: str, what: str, mend: str) -> None:
    found = _one(rules, f'// a remark; with "words\n\n{rule}\n')
    assert found == RuleProblem("policy.cedar:3", what, mend)


@pytest.mark.parametrize("spec", ["finance", "finance:1", "finance:2"])
def test_the_exception_may_be_written_out_and_is_not_doubled(rules: Rules, spec: str) -> None:
    rule = f'@id("a") @approval("{spec}") {_HEAD}'
    written = rules(f'{rule} unless {{ context.approvals.contains("{spec}") }};', PAY)
    assert written.normalised() == rules(f"{rule};", PAY).normalised()
    assert written.normalised().count("context.approvals") == 1


def test_ids_are_unique_across_files(rules: Rules) -> None:
    org = f'@id("mine") {_HEAD};'
    assert _one(rules, org, org=org).what == '`@id("mine")` redefines the org rule at org/rules.cedar:1'
    twice = f'@id("a") {_HEAD};\n@id("a") {_HEAD};'
    assert _one(rules, twice) == RuleProblem(
        "policy.cedar:2", '`@id("a")` repeats the id of policy.cedar:1', "give the rule an id of its own"
    )
    generated = _one(rules, f'@id("listed-tools") {_HEAD};')
    assert generated.what == '`@id("listed-tools")` repeats the id of agent.toml [policy] permit'


def test_an_agent_may_not_take_the_id_of_an_org_rule_that_is_idle_for_it(rules: Rules) -> None:
    org = '@id("mine") forbid(principal, action == Action::"elsewhere", resource);'
    assert "redefines" in _one(rules, f'@id("mine") {_HEAD};', org=org).what


def test_settings_that_ask_for_approval_are_checked_too(rules: Rules) -> None:
    require = {"pya": "finance", "pay": "ops", "look": "two people"}
    found = _problems(rules, "", require=require)
    assert [(problem.where, problem.what) for problem in found] == [
        ("agent.toml [approval] require.look", "`two people` names no group"),
        ("agent.toml [approval] require.pay", "the approval group `ops` has no members"),
        ("agent.toml [approval] require.pya", "the agent lists no tool `pya`"),
    ]


def test_a_tool_that_no_rule_can_permit_is_an_error_with_the_line_to_add(rules: Rules) -> None:
    text = """
    @id("a") permit(principal, action in Action::"group:money", resource);
    @id("b") forbid(principal, action == Action::"look", resource);
    """
    assert _one(rules, text, permit="explicit") == RuleProblem(
        "agent.toml",
        "no rule can ever permit the tool `look`",
        'set `permit = "listed"`, or add `permit(principal, action == Action::"look", resource);`',
    )


@pytest.mark.parametrize(
    "scope",
    [
        "principal, action, resource",
        'principal == Agent::"support", action == Action::"look", resource',
        'principal in Agent::"support", action in [Action::"pay", Action::"look"], resource',
        'principal is Agent, action in Action::"effect:read", resource == Tenant::"acme"',
        'principal is Agent in Agent::"support", action, resource is Tenant',
    ],
)
def test_a_permit_is_counted_by_what_its_scope_covers(rules: Rules, scope: str) -> None:
    rules(f'@id("a") permit({scope});', LOOK, spec("pay"), permit="explicit", mode="enforce", org=_org_permit("pay"))


def _org_permit(tool: str) -> str:
    return f'@id("org") permit(principal, action == Action::"{tool}", resource);'


def test_all_mistakes_are_told_at_once_in_the_order_of_lines(rules: Rules) -> None:
    text = f"""{_HEAD} when {{ context.input.amout == 5 }};
@id("b") forbid(;
@id("c") @aproval("x") {_HEAD} when {{ context.input.days == "5" }};
@id("c") permit(principal, action, resource) when {{ context.approvals.contains("x") }};"""
    assert [(problem.where, problem.what) for problem in _problems(rules, text)] == [
        ("policy.cedar:1", "`pay` has no argument `amout`"),
        ("policy.cedar:1", "the rule has no `@id`"),
        ("policy.cedar:2", "not a Cedar rule: unexpected token `;`"),
        ("policy.cedar:3", "`c`: a Long and a String cannot be compared or mixed"),
        ("policy.cedar:3", "unknown annotation `@aproval`"),
        ("policy.cedar:4", '`@id("c")` repeats the id of policy.cedar:3'),
        ("policy.cedar:4", "`context.approvals` is read: only `@approval` may lift a rule"),
    ]


def test_the_error_is_one_line_each(rules: Rules) -> None:
    with pytest.raises(PolicyProblems) as caught:
        rules(f"{_HEAD};\n{_HEAD};", PAY)
    assert str(caught.value).splitlines() == [
        'policy.cedar:1: the rule has no `@id`; put `@id("a-short-name")` above it',
        'policy.cedar:2: the rule has no `@id`; put `@id("a-short-name")` above it',
    ]


def test_an_org_rule_is_held_against_the_tools_it_covers(rules: Rules) -> None:
    scope = 'principal, action in [Action::"pay", Action::"elsewhere"], resource'
    org = f'@id("o") forbid({scope}) when {{ context.input.amout > 5 }};'
    assert _one(rules, "", org=org).where == "org/rules.cedar:1"
    opaque = f'@id("o") {_HEAD} when {{ context.input has memo }};'
    assert "cannot test" in _one(rules, "", org=opaque).what
    nowhere = f'@id("o") {_HEAD} when {{ context.env has frozen }};'
    assert "never true" in _one(rules, "", org=nowhere).what


def test_files_without_rules_are_fine() -> None:
    empty = [RuleFile("a.cedar", ""), RuleFile("b.cedar", "// nothing yet\n")]
    bundle = build(AgentPolicy("a", [LOOK], RuleFile("policy.cedar", " \n"), groups=GROUPS), empty)
    assert list(bundle.enforced.rules) == ["listed-tools"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a;b;", [1, 1]),
        ("// x;\na\n;\n\nb;", [2, 5]),
        ('@id("a;b")\nforbid;// c; d\n\tnext;', [1, 3]),
        ('a "\\";" ; b', [1, 1]),
        ('"open; \n ;x', [1, 2, 2]),
        ("a;\r\n// x\r\nb;", [1, 3]),
    ],
)
def test_rules_are_found_where_they_begin(text: str, lines: list[int]) -> None:
    assert [piece.line for piece in pieces(text)] == lines
