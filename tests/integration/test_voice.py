"""What `run` and `watch` say while a run waits, and the question they put to somebody who may answer."""

import asyncio
import os
import pty
import re
import sys
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from backstay.adapters.engine.dev_server import DevServer, free_port
from backstay.testing import Call, Reply, ScriptedModel
from tests.integration.command_place import ROOT, Place, command_place, eventually, fresh

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOML = """instructions = "You pay."
[approval]
require = { pay = "finance" }
groups = { finance = ["alice@example.com", "Bob <bob@example.com>"] }
"""
TOOLS = '''
from backstay.tools import tool

@tool(effect="write")
def pay(amount: int) -> str:
    """Pays."""
    return f"paid {amount}"
'''
PAYS = [Reply(calls=[Call("pay", {"amount": 5})]), Reply("done")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(temporal_server: DevServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Place]:
    """A place with a worker that serves an agent which may pay once finance says so."""
    home = tmp_path_factory.mktemp("voice")
    async with command_place(temporal_server, home) as place, ScriptedModel({"pay": PAYS}) as model:
        payer, lost = home / "agents" / "payer", home / "agents" / "lost"
        for folder, toml in ((payer, TOML), (lost, LOST)):
            folder.mkdir()
            (folder / "agent.toml").write_text(toml)
        (payer / "tools.py").write_text(TOOLS)
        place.environment["OPENAI_BASE_URL"] = model.base_url
        worker = await place.start("worker.py")
        await worker.says("worker ready")
        yield place


LOST = f"""instructions = "Nobody answers you."
[model]
base_url = "http://127.0.0.1:{free_port()}/v1"
give_up_after = "8s"
"""


class Terminal:
    """A command on a terminal of its own, with a person who reads and types."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.shown = ""

    async def sees(self, text: str) -> None:
        async def seen() -> bool:
            return text in self.shown

        await eventually(seen)

    def types(self, line: str) -> None:
        os.write(self._number, line.encode() + b"\n")

    def read(self) -> None:
        try:
            self.shown += os.read(self._number, 65_536).decode(errors="replace")
        except OSError:
            asyncio.get_running_loop().remove_reader(self._number)


async def on_a_terminal(place: Place, *arguments: str, types: list[tuple[str, str]], **environment: str) -> str:
    """Runs a command on a terminal, types each line once its question is seen; returns all that was shown."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "backstay", *arguments),
        cwd=ROOT,
        env={**place.environment, "TERM": "dumb", "COLUMNS": "200", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    terminal = Terminal(ours)
    asyncio.get_running_loop().add_reader(ours, terminal.read)
    try:
        for question, line in types:
            await terminal.sees(question)
            terminal.types(line)
        await asyncio.wait_for(process.wait(), 30)
    finally:
        asyncio.get_running_loop().remove_reader(ours)
        terminal.read()
        if process.returncode is None:
            process.kill()
    return terminal.shown


async def test_whoever_follows_a_run_reads_at_once_who_is_waited_for_and_how_they_answer(place: Place) -> None:
    run_id = fresh("pay")
    following = await place.start("-m", "backstay", "run", "pay", "-a", "payer", "--id", run_id)
    await following.says("waiting for finance (alice@example.com, Bob <bob@example.com>): ")
    watching = await place.start("-m", "backstay", "watch", run_id)
    await watching.says("waiting for finance (alice@example.com")
    answered = await place.backstay("approve", run_id, "--by", "alice@example.com", "--comment", "fine")
    assert answered.code == 0
    ended, watched = await following.end(), await watching.end()
    assert (ended.code, watched.code) == (0, 0)
    assert ended.err.count("waiting for finance") == 1
    assert re.search(rf"backstay approve {run_id} apr_\w+ --by YOU", ended.err)


async def test_an_approver_at_a_terminal_is_asked_and_a_yes_releases_the_call(place: Place) -> None:
    shown = await on_a_terminal(
        place,
        *("run", "pay", "-a", "payer", "--by", "ALICE@example.com"),
        types=[("(yes, no, edit, later)?", "what"), ("edit, later)?", "yes")],
    )
    assert "approved: the call goes ahead" in shown
    assert "paid 5" in shown
    assert "completed" in shown


async def test_an_approver_who_watches_at_a_terminal_is_asked_too(place: Place) -> None:
    run_id = fresh("pay")
    assert (await place.backstay("run", "pay", "-a", "payer", "--id", run_id, "--no-wait")).code == 0
    shown = await on_a_terminal(
        place,
        *("watch", run_id, "--by", "alice@example.com"),
        types=[("edit, later)?", "yes")],
        TERM="xterm",
    )
    assert "waiting for finance (alice@example.com" in shown
    assert "approved: the call goes ahead" in shown
    assert "completed" in shown


async def test_an_approver_at_a_terminal_may_change_the_arguments_which_others_release(place: Place) -> None:
    run_id = fresh("pay")
    first = asyncio.create_task(
        on_a_terminal(
            place,
            *("run", "pay", "-a", "payer", "--id", run_id),
            types=[
                ("edit, later)?", "edit"),
                ("as JSON", '{"amount": "many"}'),
                ("do not fit", "edit"),
                ("as JSON", '{"amount": 7}'),
                ("it waits for others", ""),
            ],
            BACKSTAY_USER="bob@example.com",
        )
    )
    await eventually(lambda: _waits_again(place, run_id))
    assert (await place.backstay("approve", run_id, "--by", "alice@example.com")).code == 0
    assert "completed" in await first
    assert "paid 7" in (await place.backstay("transcript", run_id)).out


async def _waits_again(place: Place, run_id: str) -> bool:
    shown = await place.backstay("show", run_id, "-o", "json")
    status = shown.json()["status"] if shown.code == 0 else None
    return bool(status) and [one["args"] for one in status["pending_approvals"]] == [{"amount": 7}]


async def test_a_model_that_cannot_be_reached_is_said_while_it_is_so(place: Place) -> None:
    ended = await place.backstay("run", "hello", "-a", "lost")
    assert ended.code == 1
    said = [line for line in ended.err.splitlines() if line.startswith("model unreachable")]
    waits = r"model unreachable, attempt \d+, next try in \d+ s, gives up in \d+ s"
    assert any(re.match(waits, line) for line in said), said
