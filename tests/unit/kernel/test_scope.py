"""A scope is read from one word, and covers what it names."""

import pytest

from backstay.kernel.scope import Scope, ScopeError, ScopeKind, Subject

CALL = Subject("run-1", "clerk", "acme", tool="pay")
DECISION = Subject("run-1", "clerk", "acme", model="gpt-5")


@pytest.mark.parametrize(
    ("text", "call", "decision"),
    [
        ("all", True, True),
        (" tenant:acme ", True, True),
        ("tenant:globex", False, False),
        ("agent:clerk", True, True),
        ("tool:pay", True, False),
        ("tool:payments", False, False),
        ("model:gpt-5", False, True),
        ("model:openai/gpt-5:free", False, False),
    ],
)
def test_a_scope_covers_what_it_names(text: str, call: bool, decision: bool) -> None:
    scope = Scope.read(text)
    assert (scope.covers(CALL), scope.covers(DECISION)) == (call, decision)
    assert str(scope) == text.strip()
    assert scope.is_of_runs is (scope.kind in (ScopeKind.ALL, ScopeKind.TENANT, ScopeKind.AGENT))


@pytest.mark.parametrize(
    "text",
    ["", "everything", "all:", "all:x", "tool", "tool:", "tool: pay", "Tenant:acme", "run:1", "tool:" + "x" * 201],
)
def test_a_text_that_names_no_scope_is_refused_with_all_that_do(text: str) -> None:
    with pytest.raises(ScopeError, match="`all` or one of tenant:NAME, agent:NAME, tool:NAME, model:NAME"):
        Scope.read(text)
