"""The support agent's shop: real SQLite, many threads and processes."""

import importlib
import importlib.machinery
import importlib.util
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import TypeAdapter

from backstay.tools import ToolCall, ToolError

SUPPORT = Path(__file__).parents[2] / "agents" / "support"
PACKAGE = "support_agent_for_shop_tests"

OPEN_THE_SHOP = """
import importlib, importlib.machinery, importlib.util, pathlib, sys
spec = importlib.machinery.ModuleSpec("support", None, is_package=True)
spec.submodule_search_locations = [sys.argv[1]]
sys.modules["support"] = importlib.util.module_from_spec(spec)
shop = importlib.import_module("support.shop")
print("ready", flush=True)
sys.stdin.readline()
opened = shop.Shop(pathlib.Path(sys.argv[2]))
opened.refund("B20", shop.Decimal("1.00"), None, key=sys.argv[3])
"""


@pytest.fixture(scope="module")
def support() -> Iterator[Callable[[str], ModuleType]]:
    """Imports a module of the support agent's folder, which is one package."""
    spec = importlib.machinery.ModuleSpec(PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [str(SUPPORT)]
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    yield lambda name: importlib.import_module(f"{PACKAGE}.{name}")
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture
def shop(support: Callable[[str], ModuleType], tmp_path: Path) -> Any:
    return support("shop").Shop(tmp_path / "shop.sqlite3")


@pytest.fixture
def tools(support: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SHOP_HOME", str(tmp_path))
    return support("tools")


def call_with_key(key: str) -> ToolCall:
    return ToolCall(run_id="run-1", step=1, call_id="c1", idempotency_key=key, agent="support", tenant="t", metadata={})


def outcome_of(work: Callable[[], object]) -> object:
    try:
        return work()
    except ToolError as error:
        return error


def test_a_new_shop_has_its_customers_and_orders(shop: Any) -> None:
    order = shop.order("A17")
    assert order.customer_email == "ann@example.com"
    assert (order.total, order.refunded) == (Decimal("180.00"), Decimal(0))
    assert shop.order("B20").total == Decimal("6000.00")
    assert shop.customer("K1").closed_at is None
    assert [order.order_id for order in shop.search_orders("ANN@example.com")] == ["A17", "A18"]
    assert shop.search_orders("nobody@example.com") == []


def test_opening_a_shop_again_keeps_what_happened_in_it(shop: Any) -> None:
    shop.refund("A17", Decimal("120"), "worn out", key="k1")
    again = type(shop)(shop.path)
    assert again.order("A17").refunded == Decimal("120.00")
    assert len(again.refunds()) == 1


def test_a_refund_is_made_once_per_key_from_twenty_threads(shop: Any) -> None:
    def refund(_: int) -> object:
        return shop.refund("A17", Decimal("120.00"), "torn", key="same")

    with ThreadPoolExecutor(20) as pool:
        refunds = list(pool.map(refund, range(20)))
    assert len(set(refunds)) == 1
    assert shop.refunds() == refunds[:1]
    assert shop.order("A17").refunded == Decimal("120.00")


def test_twenty_threads_cannot_refund_more_than_the_total(shop: Any) -> None:
    def refund(number: int) -> object:
        return outcome_of(lambda: shop.refund("A17", Decimal("25.00"), None, key=f"key-{number}"))

    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(refund, range(20)))
    assert sum(isinstance(outcome, ToolError) for outcome in outcomes) == 13
    assert shop.order("A17").refunded == Decimal("175.00")
    assert sum(refund.amount for refund in shop.refunds("A17")) == Decimal("175.00")


def test_an_order_can_be_refunded_to_the_last_cent_and_no_further(shop: Any) -> None:
    shop.refund("A18", Decimal("49.90"), None, key="all")
    with pytest.raises(ToolError, match="more than"):
        shop.refund("A18", Decimal("0.01"), None, key="one cent more")


def test_the_same_key_returns_the_first_refund_even_when_nothing_is_left(shop: Any) -> None:
    first = shop.refund("A18", Decimal("49.90"), "late", key="k")
    assert shop.refund("A18", Decimal("49.9"), "late", key="k") == first


@pytest.mark.parametrize(
    "other", [("A18", Decimal(10), "late"), ("A17", Decimal(11), "late"), ("A17", Decimal(10), None)]
)
def test_the_same_key_with_other_arguments_is_refused(shop: Any, other: tuple[str, Decimal, str | None]) -> None:
    shop.refund("A17", Decimal(10), "late", key="k")
    with pytest.raises(ToolError, match="another refund"):
        shop.refund(*other, key="k")
    assert len(shop.refunds()) == 1


@pytest.mark.parametrize(
    "amount", ["0", "-1", "0.001", "NaN", "Infinity", "1E+999999", "1E-999999", "1.00" + "0" * 40 + "1"]
)
def test_an_amount_that_is_not_positive_cents_is_refused(shop: Any, amount: str) -> None:
    with pytest.raises(ToolError, match="the amount must"):
        shop.refund("B20", Decimal(amount), None, key="k")
    assert shop.refunds() == []


def test_unknown_ids_are_errors_the_model_can_read(shop: Any) -> None:
    for work in (
        lambda: shop.order("Z9"),
        lambda: shop.customer("Z9"),
        lambda: shop.parcel("C30"),
        lambda: shop.set_parcel_status("Z9", "delivered"),
        lambda: shop.refund("Z9", Decimal(1), None, key="k"),
        lambda: shop.close_account("Z9"),
    ):
        assert isinstance(outcome_of(work), ToolError)


def test_an_account_is_closed_once(shop: Any) -> None:
    assert shop.close_account("K4").closed_at is not None
    with pytest.raises(ToolError, match="closed already"):
        shop.close_account("K4")


def test_processes_that_start_at_once_fill_the_shop_once(tmp_path: Path) -> None:
    path = tmp_path / "home" / "shop.sqlite3"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", "-c", OPEN_THE_SHOP, str(SUPPORT), str(path)]
    processes = [
        subprocess.Popen(
            [*command, f"key-{number % 4}"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.communicate("go\n", timeout=60)
    assert [process.returncode for process in processes] == [0] * 8
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("SELECT count(*) FROM customers").fetchone() == (4,)
        assert db.execute("SELECT count(*) FROM orders").fetchone() == (5,)
        assert db.execute("SELECT count(*), sum(amount_cents) FROM refunds").fetchone() == (4, 400)


def test_the_refund_tool_uses_the_key_of_its_call(tools: Any) -> None:
    first = tools.issue_refund(call_with_key("k1"), "A17", Decimal("20.00"), "late")
    assert tools.issue_refund(call_with_key("k1"), "A17", Decimal("20.00"), "late") == first
    tools.issue_refund(call_with_key("k2"), "A17", Decimal("20.00"), "late")
    assert tools.lookup_order("A17").refunded == Decimal("40.00")


def test_results_can_be_written_as_json(tools: Any) -> None:
    results: list[Any] = [
        tools.lookup_order("A17"),
        *tools.search_orders("bo@example.org"),
        tools.close_account("K4"),
    ]
    for result in results:
        adapter = TypeAdapter[Any](result.__class__)
        assert adapter.validate_json(adapter.dump_json(result)) == result
    assert b'"total":"180.00"' in TypeAdapter[Any](Any).dump_json(results[0])


async def test_tracking_returns_at_once_when_it_need_not_wait(tools: Any) -> None:
    assert (await tools.track_parcel("A18")).status == "in_transit"


async def test_tracking_returns_when_the_parcel_moves(tools: Any, shop: Any) -> None:
    move = threading.Timer(0.6, lambda: shop.set_parcel_status("A18", "delivered"))
    move.start()
    started = time.monotonic()
    parcel = await tools.track_parcel("A18", wait_seconds=30)
    move.join()
    assert parcel.status == "delivered"
    assert 0.5 < time.monotonic() - started < 15


async def test_tracking_gives_up_after_the_seconds_it_was_given(tools: Any) -> None:
    started = time.monotonic()
    assert (await tools.track_parcel("A18", wait_seconds=1)).status == "in_transit"
    assert time.monotonic() - started >= 1
