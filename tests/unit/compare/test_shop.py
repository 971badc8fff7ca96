"""The shop's tools do what they say, and write each call into the books."""

import inspect
from pathlib import Path

import pytest

from backstay.adapters.agent.folder import load_agent
from backstay.compare.books import Books
from backstay.compare.shop import Shop
from backstay.compare.stage import AGENTS


def test_every_call_stands_in_the_books_and_says_whether_it_changed_anything(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "books", "run")
    shop.lookup_order("A17")
    shop.send_email("A17", "hello")
    assert [(entry.tool, entry.effect) for entry in Books(tmp_path / "books").of(["run"])] == [
        ("lookup_order", False),
        ("send_email", True),
    ]


@pytest.mark.parametrize(("amount", "risky"), [(25, False), (100.0, False), (100.01, True)])
def test_a_refund_above_100_is_risky(tmp_path: Path, amount: float, risky: bool) -> None:
    assert Shop(tmp_path / "books", "run").issue_refund("A17", amount) == f"refunded {amount:.2f} USD of order A17"
    (entry,) = Books(tmp_path / "books").of(["run"])
    assert entry.risky is risky


def test_with_a_key_a_refund_is_made_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "books", "run", key="one")
    assert shop.issue_refund("A17", 25) == shop.issue_refund("A17", 25)
    assert len(Books(tmp_path / "books").of(["run"])) == 1


def test_the_governed_agent_has_the_same_tools_with_the_same_arguments_and_words() -> None:
    governed = load_agent(AGENTS / "clerk").tools
    for name, tool in Shop().tools().items():
        assert set(governed[name].spec.parameters["properties"]) == set(inspect.signature(tool).parameters)
        assert governed[name].spec.description == tool.__doc__
    assert governed.keys() == Shop().tools().keys()
