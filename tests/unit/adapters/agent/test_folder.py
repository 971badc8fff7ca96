"""A mistake in an agent's folder is named with its file, its line and the mend."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.adapters.agent.folder import load_agent
from backstay.errors import ConfigurationError

TOOLS = '''
from backstay.tools import tool

@tool(effect="write")
def pay(amount: int) -> str:
    """Pays."""
    return "paid"
'''


@pytest.mark.parametrize(
    ("tools", "line", "words"),
    [
        (TOOLS + "def broken(:\n", 8, "invalid syntax"),
        (TOOLS + "import no_such_module\n", 8, "No module named 'no_such_module'"),
        (TOOLS + "limits = {}['none']\n", 8, "KeyError"),
        (TOOLS.replace("amount: int", "amount"), 4, "no type hint"),
        (TOOLS.replace('"write"', '"wirte"'), 4, "`wirte` is no effect; use `read`, `write` or `once`"),
        (TOOLS.replace('"write"', '"write", timeout="soon"'), 4, "`soon` is no duration; write for example"),
        (TOOLS.replace('"write"', '"read", dedupe="run"'), 4, "a `read` has no effect; leave it out"),
    ],
)
def test_a_mistake_in_the_tools_is_named_with_its_line(
    tools: str, line: int, words: str, agent_folder: Callable[..., Path]
) -> None:
    folder = agent_folder(tools=tools) / "clerk"
    with pytest.raises(ConfigurationError) as refused:
        load_agent(folder)
    assert refused.value.where == f"{folder / 'tools.py'}:{line}"
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("toml", "line", "words"),
    [
        ("[budget\nsteps = 3\n", 2, "no valid TOML"),
        ("tools = [\n\n", 3, "no valid TOML"),
        ('[aproval.groups]\nfinance = ["ann"]\n', 2, "did you mean `approval`?"),
        (
            "[budget]\n\ntools = { pya = { calls = 1 } }\n",
            4,
            "`budget.tools.pya` limits no tool of the agent; did you mean `pay`?",
        ),
        ("[budget.tools.pya]\ncalls = 1\n", 2, "its tools are: `pay`"),
        ('tools = ["pya"]\n', 2, "did you mean `pay`? the functions marked `@tool` in tools.py are: `pay`"),
    ],
)
def test_a_mistake_in_the_settings_is_named_with_its_line(
    toml: str, line: int, words: str, agent_folder: Callable[..., Path]
) -> None:
    folder = agent_folder(toml=toml, tools=TOOLS) / "clerk"
    with pytest.raises(ConfigurationError) as refused:
        load_agent(folder)
    assert refused.value.where == f"{folder / 'agent.toml'}:{line}"
    assert words in str(refused.value)
