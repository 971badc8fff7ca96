"""What people tell the control plane: a scope that can be, a person, a reason; a state only from an earlier link."""

from typing import Any

import pytest

from backstay.contracts.control import AccessOrder, ControlInput, ControlView, LiftOrder, LimitOrder, StopOrder
from backstay.contracts.messages import read_message
from backstay.contracts.run import plain
from backstay.kernel.control import Incident, InForce, Mode, Told
from backstay.kernel.scope import Scope

WHO = {"by": "olga@example.com", "reason": "it pays twice"}
STOP = {**WHO, "incident_id": "i1", "scope": "tool:pay"}
STATE = InForce(incidents={"i1": Incident("i1", Scope.read("all"), Mode.STOP, Told("olga", "why", 1))})


def test_a_stop_names_its_scope_and_freezes_only_where_it_says_so() -> None:
    order = read_message(StopOrder, (STOP,))
    assert isinstance(order, StopOrder)
    assert (order.scope, order.freeze) == ("tool:pay", False)


@pytest.mark.parametrize(
    "change",
    [{"scope": "everything"}, {"scope": "tool:"}, {"incident_id": ""}, {"reason": ""}, {"by": ""}, {"freeze": "yes"}],
)
def test_a_stop_that_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    assert isinstance(read_message(StopOrder, ({**STOP, **change},)), list)


def test_a_lift_opens_everything_unless_it_names_a_stage() -> None:
    assert read_message(LiftOrder, ({**WHO, "incident_id": "i1"},)) == LiftOrder(
        by=WHO["by"], reason=WHO["reason"], incident_id="i1", stage="all"
    )
    assert isinstance(read_message(LiftOrder, ({**WHO, "incident_id": "i1", "stage": "half"},)), list)


@pytest.mark.parametrize("tool", ["pay", "send_email", "mcp:files/read_file", "größe"])
def test_a_tool_is_named_as_runs_call_it(tool: str) -> None:
    assert read_message(AccessOrder, ({**WHO, "tool": tool},)) == AccessOrder(**WHO, tool=tool)


@pytest.mark.parametrize("tool", ["", " pay", "mcp:files/*", "pay\n", "pay\u202e", "x" * 201])
def test_what_can_be_no_tool_is_refused_so_that_no_block_holds_nothing(tool: str) -> None:
    assert isinstance(read_message(AccessOrder, ({**WHO, "tool": tool},)), list)


@pytest.mark.parametrize("runs", [-1, 1.5, "3"])
def test_a_limit_is_a_number_of_runs(runs: object) -> None:
    assert isinstance(read_message(LimitOrder, ({**WHO, "tenant": "acme", "runs": runs},)), list)


def test_what_is_in_force_survives_its_way_through_a_memo() -> None:
    view = ControlView(state=STATE, last=InForce(confirmed=False), at_ms=5)
    assert ControlView.model_validate(plain(view)) == view


def test_a_state_is_believed_from_an_earlier_link_alone() -> None:
    given = plain(ControlInput(state=STATE))
    assert ControlInput.read((given,), continued=True) == ControlInput(state=STATE)
    (problem,) = problems(ControlInput.read((given,), continued=False))
    assert problem == "state"


@pytest.mark.parametrize("args", [(), ({}, {}), ("x",), ({"lost": "maybe"},), ({"more": 1},)])
def test_a_start_that_does_not_fit_is_a_list_of_problems(args: tuple[Any, ...]) -> None:
    assert problems(ControlInput.read(args, continued=False))


def problems(read: object) -> list[str]:
    assert isinstance(read, list)
    return [problem.field for problem in read]  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
