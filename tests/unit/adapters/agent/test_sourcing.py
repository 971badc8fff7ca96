"""What is known of an agent's values: registers, and the sources that it accepts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.adapters.agent.folder import load_agent
from backstay.adapters.agent.organisation import load_organisation
from backstay.adapters.agent.sourcing import sourcing_of
from backstay.errors import ConfigurationError
from backstay.kernel.sourcing import Sourcing

TOOLS = '''
from backstay.tools import tool

@tool(targets=["to"])
def send(to: str, text: str) -> str:
    """Sends."""
    return "sent"

@tool(effect="read", targets=["url"])
def get_page(url: str) -> str:
    """Reads a page."""
    return "page"
'''


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str, str], Sourcing]:
    def loaded(agent: str, org: str = "") -> Sourcing:
        folder, rules = tmp_path / "clerk", tmp_path / "org"
        folder.mkdir()
        rules.mkdir()
        (folder / "tools.py").write_text(TOOLS)
        (folder / "agent.toml").write_text(f'instructions = "x"\n{agent}')
        (rules / "org.toml").write_text(org)
        return sourcing_of(load_agent(folder), load_organisation([rules]))

    return loaded


def test_registers_of_the_organisation_are_its_own(load: Callable[[str, str], Sourcing]) -> None:
    found = load('[registers]\npartners = ["a@b.example"]\n', '[registers]\nstaff = ["@acme.com"]\n')
    assert [(one.name, one.org) for one in found.registers] == [("staff", True), ("partners", False)]


def test_an_agent_accepts_what_the_organisation_opens(load: Callable[[str, str], Sourcing]) -> None:
    agent = """
[registers]
partners = ["a@b.example"]
[sources]
accept = { send.to = ["config:partners", "tool:get_page.owner"], get_page.url = ["document"] }
"""
    found = load(agent, '[sources]\nopen = ["document", "config:*", "tool:get_page.owner"]\n')
    assert found.doors == {
        "send": {"to": frozenset({"config:partners", "tool:get_page.owner"})},
        "get_page": {"url": frozenset({"document"})},
    }


def test_without_a_word_only_documents_are_open_to_what_reads(load: Callable[[str, str], Sourcing]) -> None:
    found = load('[sources]\naccept = { get_page.url = ["document"] }\n', "")
    assert found.doors == {"get_page": {"url": frozenset({"document"})}}


@pytest.mark.parametrize(
    ("agent", "what", "line"),
    [
        ('[registers]\nstaff = ["a@b.example"]\n', "`staff` is the organisation's", 3),
        ('[sources]\naccept = { sent.to = ["document"] }\n', "names `sent`, which the agent does not list", 3),
        ('[sources]\naccept = { send.text = ["document"] }\n', "`text` of `send` has no role", 3),
        ('[sources]\naccept = { send.to = ["document"] }\n', "by tools that only read", 3),
        ('[sources]\naccept = { send.to = ["untrusted"] }\n', "`untrusted` can never be accepted", 3),
        ('[sources]\naccept = { send.to = ["model"] }\n', "`model` can never be accepted", 3),
        ('[sources]\naccept = { send.to = ["config:staff"] }\n', "no register of the agent", 3),
        ('[sources]\naccept = { send.to = ["tool:get_page.x"] }\n', "is not open to agents", 3),
        (
            '[registers]\npartners = ["a@b.example"]\n[sources]\naccept = { send.to = ["config:partners"] }\n',
            "`config:partners` is not open to agents",
            5,
        ),
    ],
    ids=str,
)
def test_what_an_agent_may_not_accept_is_named_with_its_line(
    load: Callable[[str, str], Sourcing], agent: str, what: str, line: int
) -> None:
    with pytest.raises(ConfigurationError, match=what) as caught:
        load(agent, '[registers]\nstaff = ["@acme.com"]\n')
    assert caught.value.where is not None
    assert caught.value.where.endswith(f"agent.toml:{line}")
