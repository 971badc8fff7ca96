"""How the control plane stands, in words that say what waits and what to do."""

import pytest

from backstay.cli.views.plane import how_it_stands
from backstay.client.control_plane import Plane, PlaneState, whom
from backstay.contracts.control import ControlView
from backstay.kernel.control import Block, InForce, Told

TOLD = Told("olga", "why", 1)
VIEW = ControlView(state=InForce(runs={"acme": 1}), at_ms=1)


@pytest.mark.parametrize("state", [PlaneState.UNCONFIRMED, PlaneState.ENDED, PlaneState.UNREADABLE])
def test_whatever_is_not_confirmed_says_that_effects_wait(state: PlaneState) -> None:
    plane = Plane(state, VIEW)
    assert "effects and new decisions wait" in how_it_stands(plane)
    assert ("backstay control confirm" in how_it_stands(plane)) is plane.lost


def test_one_that_is_confirmed_or_was_never_there_holds_nothing_back() -> None:
    assert how_it_stands(Plane(PlaneState.CONFIRMED, VIEW)).startswith("confirmed, with 1 limit in force")
    assert "none yet: the first worker starts it" in how_it_stands(Plane(PlaneState.MISSING))


def test_nothing_is_in_force_where_it_has_ended() -> None:
    assert Plane(PlaneState.ENDED, VIEW).state_in_force is None
    assert Plane(PlaneState.UNCONFIRMED, VIEW).state_in_force == VIEW.state


def test_a_block_says_for_whom() -> None:
    assert whom(Block("pay", None, None, TOLD)) == "for all"
    assert whom(Block("pay", "clerk", "acme", TOLD)) == "for agent clerk, tenant acme"
