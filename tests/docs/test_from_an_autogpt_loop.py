"""The how-to starts from the loop of `backstay compare`, and its edits make a governed run of it."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from temporalio.client import Client

from backstay.adapters.engine.dev_server import DevServer
from backstay.compare.books import Books
from backstay.compare.scenarios import scripted
from backstay.testing import ScriptedModel
from backstay.testing.runtime import local_runtime

ROOT = Path(__file__).resolve().parents[2]
COMPARE = ROOT / "backstay" / "compare"
PAGE = (ROOT / "docs" / "how-to" / "from-an-autogpt-loop.md").read_text()
GOAL = "Refund 25.00 USD of order A17 for the torn lace."
ANSWER = "Refunded 25.00 USD of order A17.\n"


def file_of(page: str, name: str) -> str:
    """The text of a file that the page shows in a block of its own, whose first line is a comment with the name."""
    (text,) = re.findall(rf"```\w+\n(?:#|//) {re.escape(name)}\n(.*?)```", page, re.DOTALL)
    return text


def edited(folder: Path) -> Path:
    """The loop in a folder of its own after the three edits, and the rules."""
    for name in ("tools.py", "agent.toml", "policy.cedar"):
        file = folder / "agents" / "clerk" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(file_of(PAGE, f"agents/clerk/{name}"))
    (diff,) = re.findall(r"```diff\n(.*?)```", PAGE, re.DOTALL)
    outside = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    subprocess.run(["git", "apply", "-"], cwd=folder, env=outside, input=diff, text=True, check=True)
    return folder / "loop.py"


async def said(loop: Path, **environment: str) -> str:
    """Runs the loop; returns its output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(loop), GOAL),
        cwd=loop.parent,
        env={**os.environ, "OPENAI_API_KEY": "none", "PYTHONPATH": str(ROOT), **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed.decode()


@pytest.mark.parametrize("name", ["tools.py", "agent.toml", "policy.cedar"])
def test_the_agent_of_the_page_is_the_one_that_is_compared(name: str) -> None:
    assert file_of(PAGE, f"agents/clerk/{name}") == (COMPARE / "agents" / "clerk" / name).read_text()


@pytest.mark.timeout(240)
async def test_three_edits_make_a_governed_run_of_the_very_loop(
    client: Client, temporal_server: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = tmp_path / "loop.py"
    loop.write_bytes((COMPARE / "loop.py").read_bytes())
    async with ScriptedModel(default=scripted) as model:
        assert await said(loop, OPENAI_BASE_URL=model.base_url) == ANSWER
    done = Books(tmp_path / "shop.sqlite3").of([""])
    assert [(entry.tool, entry.risky) for entry in done if entry.effect] == [
        ("issue_refund", True),
        ("delete_account", True),
        ("issue_refund", False),
    ]

    books = tmp_path / "governed.sqlite3"
    monkeypatch.setenv("SHOP_BOOKS", str(books))
    loop = edited(tmp_path)
    async with (
        ScriptedModel(default=scripted) as model,
        local_runtime(agents=tmp_path / "agents", client=client, openai_base_url=model.base_url) as runtime,
    ):
        place = {"TEMPORAL_ADDRESS": temporal_server.address, "BACKSTAY_TASK_QUEUE": runtime.settings.task_queue}
        assert await said(loop, **place) == ANSWER
        runs = [one.id async for one in client.list_workflows(f"TaskQueue = '{runtime.settings.task_queue}'")]
    (entry,) = [entry for entry in Books(books).of(runs) if entry.effect]
    assert (entry.tool, entry.risky, entry.args) == ("issue_refund", False, '{"amount": "25.00", "order_id": "A17"}')
