"""What had rules and now has none stays in force; a file is read once it has been still."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.adapters.agent.folder import Agent, load_agent
from backstay.adapters.agent.organisation import load_organisation
from backstay.app import folders, rules
from backstay.app.rules import gate_of, keep_current, reload

TOOLS = '''
from backstay.tools import tool

@tool(effect="write")
def pay(amount: int) -> str:
    """Pays."""
    return "paid"
'''
NO_PAY = '@id("no-pay") forbid(principal, action == Action::"pay", resource);\n'
NO_WRITE = '@id("no-write") forbid(principal, action in Action::"effect:write", resource);\n'
OTHER = '@id("only-small") forbid(principal, action == Action::"pay", resource) when { context.input.amount > 9 };\n'


class Place:
    """An agent with a rule of its own, and an organisation with another."""

    def __init__(self, agents: Path, org: Path) -> None:
        self.own = agents / "clerk" / "policy.cedar"
        self.org = org
        self.theirs = org / "all.cedar"
        org.mkdir()
        self.own.write_text(NO_PAY)
        self.theirs.write_text(NO_WRITE)
        self.agent: Agent = load_agent(agents / "clerk")
        self.gate: folders.gate.Gate = gate_of([self.agent], load_organisation([org]))

    def rules(self) -> set[str]:
        """The rules in force, the generated ones left out."""
        return set(self.gate.bundle("clerk").enforced.rules) - {"listed-tools"}

    def reload(self) -> set[str]:
        reload(self.gate, [self.agent], [self.org])
        return self.rules()


@pytest.fixture
def place(agent_folder: Callable[..., Path], tmp_path: Path) -> Place:
    return Place(agent_folder(tools=TOOLS), tmp_path / "org")


@pytest.mark.parametrize("text", ["", "\n", "// no-pay was here\n", "   \t\n\n"])
@pytest.mark.parametrize("whose", ["own", "theirs"])
def test_a_file_that_is_emptied_keeps_its_rules_in_force(
    whose: str, text: str, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    file: Path = getattr(place, whose)
    file.write_text(text)
    with caplog.at_level(logging.ERROR, "backstay.policy"):
        assert place.reload() == {"no-pay", "no-write"}
    assert f"{file}: had rules, and has none now" in caplog.text


@pytest.mark.parametrize("whose", ["own", "theirs"])
@pytest.mark.parametrize("way", ["removed", "renamed", "backed up"])
def test_a_file_that_is_gone_keeps_its_rules_in_force(whose: str, way: str, place: Place) -> None:
    file: Path = getattr(place, whose)
    if way == "removed":
        file.unlink()
    else:
        file.rename(file.with_name("later.cedar" if way == "renamed" else f"{file.name}~"))
    assert place.reload() == {"no-pay", "no-write"}


def test_a_file_may_change_its_rules_and_lose_all_but_one(place: Place) -> None:
    place.own.write_text(NO_PAY + OTHER)
    assert place.reload() == {"no-pay", "only-small", "no-write"}
    place.own.write_text(OTHER)
    assert place.reload() == {"only-small", "no-write"}


def test_rules_that_come_back_are_in_force_again_and_may_change(place: Place) -> None:
    place.own.write_text("")
    place.reload()
    place.own.write_text(OTHER)
    assert place.reload() == {"only-small", "no-write"}


def test_a_worker_that_starts_without_rules_has_none(place: Place) -> None:
    place.own.write_text("")
    gate = gate_of([load_agent(place.own.parent)], load_organisation([place.org]))
    assert "no-pay" not in gate.bundle("clerk").enforced.rules


async def test_a_save_in_two_parts_is_read_once_it_is_whole(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    known = rules.reload
    monkeypatch.setattr(rules, "reload", lambda *given: (known(*given), seen.append(place.rules()))[0])
    watch = asyncio.create_task(keep_current(place.gate, [place.agent], [place.org]))
    try:
        await asyncio.sleep(0.5)
        with place.own.open("w") as file:
            for part in (NO_PAY, OTHER, NO_PAY.replace("no-pay", "no-pay-2")):
                file.write(part)
                file.flush()
                await asyncio.sleep(0.7)
        async with asyncio.timeout(30):
            while not seen:
                await asyncio.sleep(0.1)
    finally:
        watch.cancel()
    assert seen[0] == {"no-pay", "only-small", "no-pay-2", "no-write"}
