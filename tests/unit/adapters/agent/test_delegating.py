"""An agent that lists `std:delegate` says whom it may ask, and a worker checks that it can."""

from pathlib import Path

import pytest

from backstay.adapters.agent.catalog import Catalog, handed_down
from backstay.adapters.agent.delegating import DelegateTable, check_delegates
from backstay.adapters.agent.folder import load_agent, load_agents
from backstay.adapters.agent.organisation import load_organisation
from backstay.contracts.admission import AdmitInput, Draws
from backstay.contracts.delegate import Above, DelegateSpec, ParentRun
from backstay.errors import ConfigurationError
from backstay.kernel.budget import Limits, ToolLimit
from backstay.kernel.meter import Bound
from backstay.settings import Settings

TOOLS = '''
from backstay.tools import tool

@tool(effect="read")
def look() -> str:
    """Looks."""
    return "seen"

@tool(effect="write")
def note() -> str:
    """Notes."""
    return "noted"
'''
LISTS = 'tools = ["std:delegate", "look"]\n'


def parent(depth: int = 1) -> ParentRun:
    limits = Limits(usd=1_000, steps=3)
    return ParentRun(
        run_id="boss", call_id="1-0", goal="g", limits=limits, depth=depth, tools=["look", "delegate"], above=[]
    )


def write(folder: Path, toml: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "agent.toml").write_text(f'instructions = "x"\n{toml}')
    (folder / "tools.py").write_text(TOOLS)
    return folder


def catalog(root: Path, *organisation: Path) -> Catalog:
    settings = Settings(openai_base_url="http://127.0.0.1:1", model_price={"input": "1", "output": "1"})
    return Catalog(load_agents([root]), settings, load_organisation(organisation))


@pytest.fixture
def office(tmp_path: Path) -> Path:
    write(tmp_path / "lead", LISTS + '[delegate]\nagents = ["helper"]\n')
    write(tmp_path / "helper", 'tools = ["std:delegate", "look", "note"]\n[delegate]\nagents = ["lead"]\n')
    return tmp_path


def test_it_is_called_delegate_and_its_calls_are_child_runs(office: Path) -> None:
    agent = load_agent(office / "lead")
    assert list(agent.tools) == ["delegate", "look"]
    assert [tool.spec.delegates for tool in agent.tools.values()] == [True, False]


def test_the_description_of_an_agent_is_read_from_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "a", 'description = "Fetches."\n')
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "agent.toml").write_text("broken [")
    lead = write(tmp_path / "lead", LISTS + '[delegate]\nagents = ["a", "b", "c"]\n')
    lines = load_agent(lead).tools["delegate"].spec.description.splitlines()
    assert lines[-3:] == ["- a: Fetches.", "- b", "- c"]


def test_an_agent_that_lists_it_without_a_table_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"`std:delegate` has no table `\[delegate\]`") as caught:
        load_agent(write(tmp_path / "lead", LISTS))
    assert caught.value.where == f"{tmp_path / 'lead' / 'agent.toml'}:2"


def test_an_agent_that_is_not_served_cannot_be_asked(tmp_path: Path) -> None:
    lead = write(tmp_path / "lead", LISTS + '[delegate]\nagents = ["reserch"]\n')
    with pytest.raises(ConfigurationError, match="`reserch`") as caught:
        check_delegates(lead, DelegateTable(agents=["reserch"]), ["research", "lead"])
    assert caught.value.where == f"{lead / 'agent.toml'}:4"
    assert "research" in (caught.value.mend or "")
    with pytest.raises(ConfigurationError):
        catalog(tmp_path)


def test_an_agent_that_delegates_to_nobody_is_not_looked_at(tmp_path: Path) -> None:
    check_delegates(tmp_path, None, [])


@pytest.mark.parametrize("toml", ["agents = []", 'agents = ["a"]\ndepth = 0', 'agents = ["a"]\nat_once = 0'])
def test_limits_that_mean_nothing_are_refused(tmp_path: Path, toml: str) -> None:
    with pytest.raises(ConfigurationError):
        load_agent(write(tmp_path / "lead", f"{LISTS}[delegate]\n{toml}\n"))


def test_a_child_may_delegate_as_deep_as_the_runs_above_leave_room_for() -> None:
    table = DelegateTable(agents=["a"], depth=3)
    assert table.spec(None) == DelegateSpec(agents=["a"], depth=3, at_once=10)
    assert table.spec(parent(1)) == DelegateSpec(agents=["a"], depth=1, at_once=10)
    assert table.spec(parent(0)) is None


def test_a_run_is_admitted_with_whom_it_may_ask(office: Path) -> None:
    admission = catalog(office).admission(AdmitInput(agent="lead"))
    assert admission.delegate == DelegateSpec(agents=["helper"], depth=2, at_once=10)
    assert ([tool.name for tool in admission.tools], admission.withheld) == (["delegate", "look"], [])


def test_a_child_has_only_tools_that_its_parent_has_and_spends_what_was_carved(office: Path) -> None:
    admission = catalog(office).admission(AdmitInput(agent="helper", parent=parent()))
    assert ([tool.name for tool in admission.tools], admission.withheld) == (["delegate", "look"], ["note"])
    assert (admission.limits.usd, admission.limits.steps, admission.draws) == (1_000, 3, None)
    assert admission.ceilings is not None
    assert admission.ceilings.usd == 1_000


def test_a_child_draws_on_the_limit_of_its_own_agent_if_no_run_above_is_of_that_agent(
    office: Path, tmp_path: Path
) -> None:
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "org.toml").write_text(
        '[limits.organisation]\nusd = { day = "9" }\n[limits.agents.helper]\nusd = { day = "1" }\n'
    )
    one = catalog(office, tmp_path / "org")

    def draws(agent: str, *above: str) -> Draws | None:
        named = parent().model_copy(update={"above": [Above(agent=name, version="1") for name in above]})
        return one.admission(AdmitInput(agent=agent, parent=named if above else None)).draws

    assert (draws("helper"), draws("lead")) == (Draws(), Draws())
    assert (draws("helper", "lead"), draws("lead", "helper")) == (Draws(agent_only=True), None)
    assert draws("helper", "lead", "helper") is None


def test_without_a_level_left_a_child_does_not_delegate(office: Path) -> None:
    admission = catalog(office).admission(AdmitInput(agent="helper", parent=parent(0)))
    assert ([tool.name for tool in admission.tools], admission.delegate) == (["look"], None)
    assert admission.withheld == ["delegate", "note"]


def test_limits_of_tools_and_meters_that_a_child_has_not_mean_nothing_to_it() -> None:
    carved = Limits(tools={"look": ToolLimit(2), "other": ToolLimit(1)}, exposure={"m": (Bound(1),), "n": (Bound(2),)})
    above = parent().model_copy(update={"limits": carved})
    found = handed_down(Limits(exposure={"m": (Bound(5),)}), above, ["look"])
    assert found.tools == {"look": ToolLimit(2)}
    assert found.exposure == {"m": (Bound(5), Bound(1))}
    assert handed_down(Limits(usd=5), None, []) == Limits(usd=5)
