"""The options of `@tool` that say how often an identical call may happen."""

import pytest

from backstay.adapters.tool.function import tool_of
from backstay.errors import ConfigurationError
from backstay.tools import tool


async def pay(amount: int) -> str:
    """Pays."""
    return str(amount)


def test_a_tool_shares_its_effect_for_a_day_unless_told_otherwise() -> None:
    spec = tool_of("pay", tool(dedupe="tenant")(pay)).spec
    assert (spec.dedupe, spec.dedupe_window) == ("tenant", 86_400.0)
    assert tool_of("pay", tool(dedupe="run", dedupe_window="90s")(pay)).spec.dedupe_window == 90.0


def test_a_tool_shares_nothing_unless_told_to() -> None:
    assert tool_of("pay", tool(pay)).spec.dedupe is None


def test_a_run_notices_where_the_scope_has_changed() -> None:
    digests = {tool_of("pay", tool(dedupe=scope)(pay)).spec.digest for scope in (None, "run", "tenant")}
    assert len(digests) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"dedupe": "world"},
        {"dedupe": "tenant", "effect": "read"},
        {"dedupe": "tenant", "dedupe_window": "soon"},
        {"dedupe": "tenant", "dedupe_window": "9999d"},
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        tool(**options)(pay)  # pyright: ignore
