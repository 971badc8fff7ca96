"""Workers and the server die while runs draw on a tenant's day: those that it covers run, and never one more."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.kernel.money import parse_usd
from backstay.testing import Call, Reply

from .fleet import fleet
from .worker_process import SOAK

COVERED, RUNS = (20, 50) if SOAK else (4, 10)
KILLS = 5 if SOAK else 1
PATIENCE = 300.0 if SOAK else 100.0

TOOLS = '''
import asyncio
import os
import signal
from pathlib import Path

from backstay.tools import ToolCall, tool

@tool(effect="write")
async def gate(call: ToolCall) -> str:
    """Kills the worker a few times, then waits until the gate is opened."""
    here = Path(call.metadata["here"])
    for death in range(KILLS):
        try:
            (here / f"death-{death}").touch(exist_ok=False)
        except FileExistsError:
            continue
        os.kill(os.getpid(), signal.SIGKILL)
    while not (here / "gate").exists():
        await asyncio.sleep(0.05)
    return "open"
'''.replace("KILLS", str(KILLS))


@pytest.mark.soak
@pytest.mark.timeout(1200 if SOAK else 300)
async def test_exactly_the_runs_that_the_day_covers_run_while_workers_and_the_server_die(
    tmp_path: Path, agent_folder: Callable[..., Path]
) -> None:
    (tmp_path / "org").mkdir()
    day = f"{COVERED // 2}.00"
    (tmp_path / "org" / "org.toml").write_text(f'[limits.tenants.acme]\nusd = {{ day = "{day}" }}\n')
    script = [Reply(calls=[Call("gate", {})]), Reply("done")]
    environment = {"BACKSTAY_POLICIES": str(tmp_path / "org")}
    async with (
        fleet(tmp_path, agent_folder(tools=TOOLS), script, RUNS, environment) as runs,
        asyncio.timeout(PATIENCE),
    ):
        await runs.until_closed((RUNS - COVERED) // 2)
        await runs.restart()
        await runs.until_closed(RUNS - COVERED)
        await asyncio.sleep(0.5)
        assert await runs.closed() == RUNS - COVERED
        (tmp_path / "gate").touch()
        results, books = await runs.results(), await runs.books()
        assert len(runs.deaths) >= 1
    ends = Counter((one.stop_reason, one.stop_detail) for one in results)
    assert ends == {("completed", None): COVERED, ("budget_exhausted", "usd:tenant:day"): RUNS - COVERED}
    (spent,) = {one.spent for key, one in books.sums.by_account["tenant"]["usd"].items() if len(key) == 10}
    assert spent == sum(parse_usd(one.spent.usd) for one in results)
    assert {one.held for one in books.sums.by_account["tenant"]["usd"].values()} == {0}
