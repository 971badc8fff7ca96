"""What the files of agents and of the organisation may not say, with words that say where."""

from pathlib import Path

import pytest

from backstay.adapters.agent.config import read_config
from backstay.adapters.agent.organisation import load_organisation
from backstay.errors import ConfigurationError

TWICE = 'groups = { finance = ["alice@example.com", "bob@example.com", "Alice <ALICE@example.com>"] }\n'


def refused_agent(folder: Path, groups: str) -> ConfigurationError:
    file = folder / "agent.toml"
    file.write_text(f'instructions = "x"\n\n[approval]\n{groups}')
    with pytest.raises(ConfigurationError) as refused:
        read_config(file)
    assert refused.value.where == f"{file}:4"
    return refused.value


def test_an_agent_that_lists_one_person_twice_does_not_load(tmp_path: Path) -> None:
    words = str(refused_agent(tmp_path, TWICE))
    assert "approval.groups.finance" in words
    assert "`alice@example.com` and `Alice <ALICE@example.com>` are one person" in words


@pytest.mark.parametrize("name", [r"ali\nce", r"\u200b", ""])
def test_a_member_that_nobody_could_read_does_not_load(tmp_path: Path, name: str) -> None:
    assert "approval.groups.finance.1" in str(refused_agent(tmp_path, f'groups = {{ finance = ["ann", "{name}"] }}\n'))


def test_an_organisation_that_lists_one_person_twice_does_not_load(tmp_path: Path) -> None:
    (tmp_path / "org.toml").write_text('[groups]\nops = ["olga", "olg\u200ba"]\n')
    with pytest.raises(ConfigurationError, match=r"groups.ops.*`olga` and `olg\\u200ba` are one person") as refused:
        load_organisation([tmp_path])
    assert refused.value.where == f"{tmp_path / 'org.toml'}:2"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('description = "x"\ninstruction = "y"\n', "`instruction`: unknown field; did you mean `instructions`?"),
        ('instructions = "x"\n[approval]\nrequire_requester = true\n', "did you mean `requester_required`?"),
        ('instructions = "x"\n[budget]\ncalls_of_tools = 1\n', "did you mean `tool_calls`?"),
    ],
)
def test_a_mistyped_key_is_named_before_what_is_missing_for_it(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        read_config(file)
    assert said in str(refused.value)
    assert refused.value.where == f"{file}:{len(text.splitlines())}"


def test_a_first_call_repeats_nothing_so_that_it_cannot_stop_a_run(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('instructions = "x"\n\n[stop]\nrepeats = 1\n')
    with pytest.raises(ConfigurationError, match=r"stop\.repeats.*expected 2 or more") as refused:
        read_config(file)
    assert refused.value.where == f"{file}:4"
    file.write_text('instructions = "x"\n\n[stop]\nrepeats = 2\n')
    assert read_config(file).stop.thresholds().repeats == 2
