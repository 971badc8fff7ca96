"""Words that rules ask for: misspelt ones are errors, and so are permits that nobody vouches for."""

import pytest

from backstay.contracts.admission import ToolSpec
from backstay.kernel.marks import Marks, Roles
from backstay.kernel.registers import register_of
from backstay.kernel.sourcing import Sourcing
from policies.bundle.advice import advised
from policies.bundle.build import AgentPolicy, Bundle, build
from policies.bundle.problem import PolicyProblems
from policies.bundle.source import RuleFile

from .conftest import DECIMAL, GROUPS, spec

PARAMETERS = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
SEND = spec("send", "once", ("external",), PARAMETERS).model_copy(update={"roles": Roles(targets=("to",))})
READ = spec("read_mail", "read", (), PARAMETERS).model_copy(update={"marks": Marks({"untrusted": (), "private": ()})})
NEWS = READ.model_copy(update={"name": "news", "marks": Marks({"untrusted": (), "secret": ("pin",)}, ("sender",))})
MUTE = spec("post", "once", ("payments",), PARAMETERS)
WIPE = spec("wipe", "once", ("destructive",), PARAMETERS)
KNOWN = Sourcing((register_of("staff", ["@acme.com"], org=True), register_of("partners", ["a@b.example"], org=False)))


def bundle(condition: str, org: str = "", effect: str = "forbid", send: ToolSpec = SEND) -> Bundle:
    own = f'@id("own") {effect}(principal, action == Action::"send", resource) {condition};' if condition else ""
    policy = AgentPolicy(
        "desk",
        [send, READ, NEWS, MUTE, WIPE],
        RuleFile("policy.cedar", own) if own else None,
        groups=GROUPS,
        sourcing=KNOWN,
    )
    text = f'@id("org") forbid(principal, action in Action::"group:external", resource) {org};'
    return build(policy, [RuleFile("org.cedar", text)] if org else [])


@pytest.mark.parametrize(
    "word",
    ["user", "trusted", "model", "none", "record", "document", "config:staff", "config:partners", "private",
     "tool:post", "tool:post.sender.name", "tool:news.sender.name"],
)  # fmt: skip
def test_a_word_that_can_hold_is_none_to_complain_of(word: str) -> None:
    bundle(f'unless {{ context.targets.contains("{word}") }}')


@pytest.mark.parametrize(
    ("condition", "what"),
    [
        ('unless { context.targets.contains("usr") }', "`usr` is no source and no label; did you mean `user`?"),
        ('unless { context.sources.to == ["user", "zzzzzz"] }', "`zzzzzz` is no source and no label; known are"),
        ('unless { context.carries.contains("privat") }', "did you mean `private`?"),
        ('unless { context.targets.containsAny(["config:stuff"]) }', "no register `stuff`; did you mean `staff`?"),
        ('unless { context.targets.containsAll(["config:xy"]) }', r"no register `xy`; name it under `\[registers\]`$"),
        ('unless { context.targets.contains("tool:read_mial.sender") }', "names no tool of the agent; did you mean"),
        ('unless { context.targets.contains("tool:zzzzzzzz") }', "names no tool of the agent; is it misspelt"),
        ('unless { context.targets.contains("tool:read_mail") }', "never holds: what stands there is `private`, `untr"),
        ('unless { context.targets.contains("tool:news.body") }', "is `untrusted`; ask for the label, or name the fie"),
        ('unless { context.targets.contains("tool:news.pin") }', "never holds: what stands there is `secret`, `untr"),
        ('unless { context.accepted.contains("user") }', "`accepted` never has `user`; it has `targets`"),
        ('when { if context.parts.contains("usr") then true else false }', "`usr` is no source"),
        ('when { context.run.step > 1 || "usr" == "usr" || !(context.texts != ["usr"]) }', "`usr` is no source"),
    ],
)  # fmt: skip
def test_a_word_that_never_holds_is_an_error(condition: str, what: str) -> None:
    with pytest.raises(PolicyProblems, match=what):
        bundle(condition)


def test_a_rule_of_the_organisation_counts_its_own_registers_alone() -> None:
    bundle("", 'unless { context.targets.contains("config:staff") || context.accepted.contains("targets") }')
    with pytest.raises(PolicyProblems, match=r"no register `partners`; name it under `\[registers\]` of org.toml"):
        bundle("", 'unless { context.targets.contains("config:partners") }')


def test_a_rule_of_the_organisation_may_speak_of_tools_and_labels_of_other_agents() -> None:
    bundle("", 'unless { context.targets.containsAny(["tool:other.field", "secret"]) }')


@pytest.mark.parametrize("word", ["model", "untrusted", "private"])
def test_a_permit_rests_on_nothing_that_nobody_vouches_for(word: str) -> None:
    for condition in (
        f'when {{ context.targets.contains("{word}") }}',
        f'unless {{ !context.parts.contains("{word}") }}',
    ):
        with pytest.raises(PolicyProblems, match=f"a permit rests on `{word}`"):
            bundle(condition, effect="permit")
    bundle(f'unless {{ context.targets.contains("{word}") }}', effect="permit")


def warnings(condition: str, send: ToolSpec = SEND) -> list[str]:
    return [str(doubt) for doubt in advised(bundle(condition, send=send))]


def test_a_forbid_of_what_the_user_has_named_is_doubtful() -> None:
    [doubt, *_] = warnings('when { context.targets.contains("user") }')
    assert "it forbids what the user has named: `context.targets` has `user`; is it meant as `unless" in doubt
    assert not any("has named" in one for one in warnings('unless { context.targets.contains("user") }'))
    both = 'when { context.texts.contains("user") } unless { context.targets.contains("trusted") }'
    assert not any("has named" in one for one in warnings(both))


@pytest.mark.parametrize("word", ["config:partners", "tool:post.to"])
def test_a_forbid_by_a_source_that_every_entry_must_have_is_doubtful(word: str) -> None:
    evaded = f"`own`: `{word}` has to hold for every entry of `context."
    many = SEND.model_copy(update={"parameters": {"properties": {"to": {"type": "array"}}}})
    maybe = SEND.model_copy(
        update={"parameters": {"properties": {"to": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}}
    )
    both = SEND.model_copy(
        update={
            "parameters": {"properties": {"to": {"type": "string"}, "cc": {"type": "string"}}},
            "roles": Roles(targets=("to", "cc")),
        }
    )
    forbidden = f'when {{ context.targets.contains("{word}") }}'
    for send, doubtful in ((SEND, False), (maybe, False), (many, True), (both, True)):
        found = warnings(forbidden, send)
        assert any(evaded + "targets`; say what is allowed" in one for one in found) is doubtful
    assert any(evaded in one for one in warnings(f'when {{ context.sources.to.contains("{word}") }}', many))
    assert not any(evaded in one for one in warnings(f'unless {{ context.targets.contains("{word}") }}', many))
    assert not any(evaded in one for one in warnings('when { context.targets.contains("untrusted") }', many))


def test_a_guarded_tool_that_does_not_say_what_its_arguments_are_is_doubtful() -> None:
    found = warnings('unless { context.targets.contains("user") }')
    assert [one for one in found if "does not say" in one] == [
        "desk: `post` is in the group `payments` and does not say what its arguments are; "
        "declare them: `@tool(targets=[...], texts=[...])`",
        "desk: `wipe` is in the group `destructive` and does not say what its arguments are; "
        "declare them: `@tool(items=[...], texts=[...])`",
    ]


def test_a_text_that_a_guarded_tool_does_not_count_among_its_texts_is_doubtful() -> None:
    kinds = {
        "to": {"type": "string"},
        "body": {"type": "string"},
        "html": {"type": "string"},
        "price": DECIMAL,
    }
    roles = Roles(targets=("to",), texts=("body",))
    send = SEND.model_copy(update={"parameters": {"properties": kinds}, "roles": roles})
    condition = 'unless { context.targets.contains("user") }'
    [doubt] = [one for one in warnings(condition, send) if "nobody looks" in one]
    assert "`send`: nobody looks at what `html` copies, because it is not among the tool's `texts`; add it" in doubt
    silent = send.model_copy(update={"roles": Roles(targets=("to",))})
    assert not any("nobody looks" in one for one in warnings(condition, silent))


def test_where_no_rule_reads_where_values_come_from_nobody_need_say() -> None:
    assert not any("does not say" in one for one in warnings(""))
