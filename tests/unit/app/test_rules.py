"""Only a restart takes a rule away or loosens a setting; a file is read once it has been still."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backstay.adapters.agent.folder import Agent, load_agent
from backstay.adapters.agent.organisation import load_organisation
from backstay.app import folders, rules
from backstay.app.rules import gate_of, keep_current, reload
from backstay.errors import ConfigurationError

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


BIG = '@id("big") @approval("finance") forbid(principal, action == Action::"pay", resource);\n'
SMALL_ONLY = '@id("small") permit(principal, action == Action::"pay", resource) when { context.input.amount < 9 };\n'
GROUPS = 'groups = { finance = ["ann", "bob", "cleo"] }\n'
HEAD = 'instructions = "Pay."\ntools = ["pay"]\n'


class Place:
    """An agent with a rule of its own, and an organisation with another."""

    def __init__(self, agents: Path, org: Path) -> None:
        self.settings = agents / "clerk" / "agent.toml"
        self.own = agents / "clerk" / "policy.cedar"
        self.org = org
        self.theirs = org / "all.cedar"
        org.mkdir()
        self.own.write_text(NO_PAY)
        self.theirs.write_text(NO_WRITE)
        self.start()

    def start(self) -> set[str]:
        """Starts the worker, or starts it again."""
        self.agent: Agent = load_agent(self.own.parent)
        self.gate: folders.gate.Gate = gate_of([self.agent], load_organisation([self.org]))
        return self.rules()

    def write(self, cut: "Cut", when: int) -> None:
        for file, texts in ((self.settings, cut.settings), (self.own, cut.own), (self.theirs, cut.org)):
            file.write_text(texts[when])

    def version(self) -> str:
        return self.gate.version("clerk")

    def rules(self) -> set[str]:
        """The rules in force, the generated ones left out."""
        return set(self.gate.bundle("clerk").enforced.rules) - {"listed-tools"}

    def reload(self) -> set[str]:
        self.refused = reload(self.gate, [(self.agent, "")], [self.org])
        return self.rules()

    @property
    def why(self) -> str:
        """The reasons why the rules stayed as they were."""
        return str(self.refused["clerk"])


@pytest.fixture
def place(agent_folder: Callable[..., Path], tmp_path: Path) -> Place:
    return Place(agent_folder(tools=TOOLS), tmp_path / "org")


@pytest.mark.parametrize("text", ["", "\n", "// no-pay was here\n", "   \t\n\n"])
@pytest.mark.parametrize("whose", ["own", "theirs"])
def test_a_file_that_is_emptied_keeps_its_rules_in_force(whose: str, text: str, place: Place) -> None:
    file: Path = getattr(place, whose)
    file.write_text(text)
    assert place.reload() == {"no-pay", "no-write"}
    assert f"{file}: had rules, and has none now" in place.why


@pytest.mark.parametrize("whose", ["own", "theirs"])
@pytest.mark.parametrize("way", ["removed", "renamed", "backed up"])
def test_a_file_that_is_gone_keeps_its_rules_in_force(whose: str, way: str, place: Place) -> None:
    file: Path = getattr(place, whose)
    if way == "removed":
        file.unlink()
    else:
        file.rename(file.with_name("later.cedar" if way == "renamed" else f"{file.name}~"))
    assert place.reload() == {"no-pay", "no-write"}


def test_a_file_that_is_renamed_with_its_rules_takes_nothing_away(place: Place) -> None:
    place.theirs.rename(place.theirs.with_name("later.cedar"))
    place.own.write_text(NO_PAY + OTHER)
    assert place.reload() == {"no-pay", "only-small", "no-write"}


def test_a_rule_is_added_and_changed_while_the_worker_lives(place: Place) -> None:
    place.own.write_text(NO_PAY + OTHER)
    assert place.reload() == {"no-pay", "only-small", "no-write"}
    before = place.version()
    place.own.write_text(NO_PAY + OTHER.replace("> 9", "> 5"))
    assert place.reload() == {"no-pay", "only-small", "no-write"}
    assert place.version() != before


def test_a_rule_that_gets_another_id_is_not_lost(place: Place) -> None:
    place.own.write_text(NO_PAY.replace("no-pay", "never-pay"))
    assert place.reload() == {"never-pay", "no-write"}


def test_a_rule_that_goes_takes_a_restart(place: Place) -> None:
    place.own.write_text(NO_PAY + OTHER)
    place.reload()
    place.own.write_text(OTHER)
    assert place.reload() == {"no-pay", "only-small", "no-write"}
    assert f"the rule `no-pay` ({place.own}:1) would be lost" in place.why
    assert place.start() == {"only-small", "no-write"}


ASKED = f'{HEAD}[approval]\n{GROUPS}require = {{ pay = "finance" }}\n'
NOT_ASKED = f"{HEAD}[approval]\n{GROUPS}"
EXPLICIT = f'{HEAD}[policy]\npermit = "explicit"\n'
OBSERVED = f'{HEAD}[policy]\nmode = "observe"\n'
ELSEWHERE = NO_WRITE.replace("forbid(principal", 'forbid(principal == Agent::"other"')


@dataclass(frozen=True)
class Cut:
    """Settings, own rules and the organisation's, before and after a change, and a word of the error."""

    names: str
    settings: tuple[str, str] = (HEAD, HEAD)
    own: tuple[str, str] = (NO_PAY, NO_PAY)
    org: tuple[str, str] = (NO_WRITE, NO_WRITE)


CUTS = {
    "settings cut behind the groups": Cut("`approval-pay`", (ASKED, NOT_ASKED)),
    "settings cut to the first line": Cut("`approval-pay`", (ASKED, 'instructions = "Pay."\n')),
    "nobody is required any more": Cut("`approval-pay`", (ASKED, f"{NOT_ASKED}require = {{}}\n")),
    "settings cut before the permit": Cut('"listed"', (EXPLICIT, HEAD), (SMALL_ONLY, SMALL_ONLY)),
    "a looser permit": Cut('"listed"', (EXPLICIT, EXPLICIT.replace("explicit", "listed")), (SMALL_ONLY, SMALL_ONLY)),
    "rules that are only observed": Cut('"observe"', (HEAD, OBSERVED)),
    "rules cut behind the first": Cut("`no-pay`", (NOT_ASKED, NOT_ASKED), (BIG + NO_PAY, BIG)),
    "rules cut to a permit": Cut("`no-pay`", own=(SMALL_ONLY + NO_PAY, SMALL_ONLY)),
    "a forbid turned into a permit": Cut("`no-pay`", own=(NO_PAY, NO_PAY.replace("forbid", "permit"))),
    "permits that go with their file": Cut("none now", own=(SMALL_ONLY, "")),
    "a rule of the organisation cut": Cut("`no-pay`", own=("", ""), org=(NO_WRITE + NO_PAY, NO_WRITE)),
    "a rule of the organisation aimed elsewhere": Cut("`no-write`", org=(NO_WRITE, ELSEWHERE)),
}


@pytest.mark.parametrize("cut", CUTS)
def test_what_a_cut_would_open_stays_closed_until_a_restart(cut: str, place: Place) -> None:
    change = CUTS[cut]
    place.write(change, 0)
    place.start()
    before = place.version()
    place.write(change, 1)
    place.reload()
    assert place.version() == before
    assert change.names in place.why
    place.start()
    assert place.version() != before


def test_a_change_that_was_held_back_is_in_force_once_the_file_holds_the_rule_again(place: Place) -> None:
    place.own.write_text(OTHER)
    assert place.reload() == {"no-pay", "no-write"}
    place.own.write_text(OTHER + NO_PAY)
    assert place.reload() == {"no-pay", "only-small", "no-write"}


def test_settings_become_stricter_while_the_worker_lives(place: Place) -> None:
    place.settings.write_text(OBSERVED)
    assert "no-pay" not in place.start()
    place.settings.write_text(ASKED)
    assert place.reload() == {"no-pay", "no-write", "approval-pay"}
    place.settings.write_text(f'{ASKED}[policy]\npermit = "explicit"\n')
    place.own.write_text(SMALL_ONLY + NO_PAY)
    assert place.reload() == {"no-pay", "no-write", "approval-pay", "small"}
    assert "listed-tools" not in place.gate.bundle("clerk").enforced.rules


def test_a_worker_that_starts_without_rules_has_none(place: Place) -> None:
    place.own.write_text("")
    gate = gate_of([load_agent(place.own.parent)], load_organisation([place.org]))
    assert "no-pay" not in gate.bundle("clerk").enforced.rules


async def test_a_save_in_two_parts_is_read_once_it_is_whole(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    known = rules.reload
    monkeypatch.setattr(rules, "reload", lambda *given: (known(*given), seen.append(place.rules()))[0])
    watch = asyncio.create_task(keep_current(place.gate, lambda: [(place.agent, "")], [place.org]))
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


async def test_the_rules_of_an_agent_that_came_while_others_were_served_are_watched_too(
    place: Place, agent_folder: Callable[..., Path]
) -> None:
    kept = [(place.agent, "")]
    watch = asyncio.create_task(keep_current(place.gate, lambda: kept, [place.org]))
    try:
        await asyncio.sleep(0.1)
        teller = load_agent(agent_folder("teller", 'tools = ["pay"]\n', TOOLS) / "teller")
        rules.put_in_force(place.gate, teller, load_organisation([place.org]))
        kept.append((teller, ""))
        (teller.folder / "policy.cedar").write_text(NO_PAY)
        async with asyncio.timeout(30):
            while "no-pay" not in place.gate.bundle("teller").enforced.rules:
                await asyncio.sleep(0.1)
    finally:
        watch.cancel()


async def test_a_file_behind_links_is_read_anew_where_only_the_links_change(place: Place, tmp_path: Path) -> None:
    for name, text in (("first", NO_PAY), ("second", NO_PAY + OTHER)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.cedar").write_text(text)
    current = tmp_path / "current"
    current.symlink_to(tmp_path / "first")
    place.own.unlink()
    place.own.symlink_to(current / "policy.cedar")
    place.start()
    watch = asyncio.create_task(keep_current(place.gate, lambda: [(place.agent, "")], [place.org]))
    try:
        await asyncio.sleep(0.1)
        (tmp_path / "next").symlink_to(tmp_path / "second")
        (tmp_path / "next").replace(current)
        async with asyncio.timeout(30):
            while "only-small" not in place.rules():
                await asyncio.sleep(0.1)
    finally:
        watch.cancel()


@pytest.fixture
async def watched(place: Place, caplog: pytest.LogCaptureFixture) -> AsyncGenerator[Place]:
    """A place with files that are watched, and a log of what is said of them."""
    caplog.set_level(logging.INFO, "backstay.policy")
    watch = asyncio.create_task(keep_current(place.gate, lambda: [(place.agent, "")], [place.org]))
    await asyncio.sleep(0.1)
    yield place
    watch.cancel()


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


async def test_an_edit_of_two_files_raises_no_alarm_while_the_first_waits_for_the_second(
    watched: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[int] = []
    known = rules.reload

    def seen(*given: Any) -> dict[str, ConfigurationError]:
        found = known(*given)
        refused.append(len(found))
        return found

    monkeypatch.setattr(rules, "reload", seen)
    watched.own.write_text(NO_PAY + BIG)  # of a group that the other file has yet to name
    async with asyncio.timeout(30):
        while not refused:
            await asyncio.sleep(0.05)
        watched.settings.write_text(NOT_ASKED)
        while "big" not in watched.rules():
            await asyncio.sleep(0.05)
    assert refused[0] == 1
    assert errors(caplog) == []


async def test_rules_that_stay_broken_are_an_error_once(watched: Place, caplog: pytest.LogCaptureFixture) -> None:
    watched.own.write_text(NO_PAY + BIG)
    async with asyncio.timeout(30):
        while not errors(caplog):
            await asyncio.sleep(0.05)
    await asyncio.sleep(rules.STILL_SECONDS + 2 * rules.LOOK_SECONDS)
    (said,) = errors(caplog)
    assert "the rules of clerk stay as they were" in said
    assert "the approval group `finance` has no members" in said


def test_what_does_not_fit_an_earlier_version_is_no_error_and_one_line_says_who_keeps_what(
    place: Place, agent_folder: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    org = load_organisation([place.org])
    place.own.unlink()
    new = load_agent(agent_folder("clerk", 'tools = ["refund"]\n', TOOLS.replace("pay", "refund")) / "clerk")
    for version in ("sha256:0123456789", "sha256:abcdefabcd"):
        place.gate.put(*rules.built(place.agent, org), version)
    place.gate.put(*rules.built(new, org))
    place.own.write_text(NO_PAY.replace("pay", "refund"))
    kept = [(new, ""), (place.agent, "sha256:0123456789"), (place.agent, "sha256:abcdefabcd")]
    with caplog.at_level(logging.INFO, "backstay.policy"):
        assert reload(place.gate, kept, [place.org]) == {}
    assert place.rules() == {"no-refund", "no-write"}
    assert errors(caplog) == []
    (said,) = [line for line in caplog.messages if "keep the rules that they have" in line]
    assert "version of clerk (01234567, abcdefab)" in said
    assert "no tool and no group is named `refund`" in said
