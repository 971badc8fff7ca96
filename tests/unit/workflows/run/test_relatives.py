"""The page of a run links to the run above it, and to the runs below."""

from typing import Any

from backstay.contracts.budget import LimitsInForce, Spent
from backstay.contracts.status import ChildView, RunStatusView
from backstay.kernel.budget import Amount
from workflows.run.relatives import relatives

NOTHING = Spent.of(Amount(), 0)


def child(**changes: Any) -> ChildView:
    given = {"run_id": "boss/child-1-0-a", "call_id": "1-0", "agent": "helper", "state": "running", "stop_reason": None}
    return ChildView(**{**given, "usd": "0.00", **changes})


def shown(**changes: Any) -> list[str]:
    given = {"state": "running", "step": 1, "agent_version": None, "spent": NOTHING, "held": NOTHING}
    view = RunStatusView(**given, budget=LimitsInForce(), stop_reason=None, **changes)
    return relatives(view, "shop/eu")


def test_a_run_alone_has_no_relatives() -> None:
    assert shown() == []


def test_a_child_links_to_its_parent() -> None:
    assert shown(parent="boss/1") == ["", "**Asked by:** [boss/1](/namespaces/shop%2Feu/workflows/boss%2F1)"]


def test_a_parent_links_to_its_children_and_says_how_they_ended() -> None:
    stopped = child(state="stopped", stop_reason="no_progress", usd="0.02")
    lines = shown(
        children=[child(), stopped, child(run_id=None, state="held"), child(state="refused", stop_reason="refused")]
    )
    link = "[helper](/namespaces/shop%2Feu/workflows/boss%2Fchild-1-0-a)"
    assert lines[3:] == [
        f"- {link} · running · 0.00 USD",
        f"- {link} · stopped (no_progress) · 0.02 USD",
        "- helper · held · 0.00 USD",
        f"- {link} · refused · 0.00 USD",
    ]


def test_of_many_children_the_first_are_shown() -> None:
    assert shown(children=[child()] * 23)[-1] == "- and 3 more"


def test_no_name_writes_markdown_of_its_own() -> None:
    [line] = shown(children=[child(agent="](http://evil)")])[3:]
    assert line.startswith("- [`](http://evil)`](/namespaces/")
