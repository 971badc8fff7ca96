"""A fresh folder in which the commands of a page are run, as somebody who reads it would type them.

Commands of ours run in this process, all others in a shell. `backstay dev` serves the folder's agents on the server
that all tests share, with the scripted model that `dev` uses without a key.
"""

import asyncio
import contextlib
import io
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from backstay.app.application import application
from backstay.app.worker import prepare, serving
from backstay.cli import execute
from backstay.cli.shell.model import model_in_use
from backstay.client.connection import connect
from backstay.settings import load_settings
from tests.docs.blocks import Block

OURS = ("OPENAI_", "BACKSTAY_", "TEMPORAL_", "OTEL_")
READING = {"show", "list", "approvals", "policy", "budget"}
"""Commands that may be repeated until a run has come as far as the page says."""
PATIENCE = 30.0
ASSIGNMENT = re.compile(r"[A-Z_]+=\S*\(")
"""A line that only sets a variable, for the lines of the shell that follow."""
EXIT_CODE = re.compile(r"#.*\bexit code (\d+)")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Dev:
    """The worker half of `backstay dev`, in a thread of its own."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.error: BaseException | None = None
        self.loop = asyncio.new_event_loop()
        self.stop = asyncio.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        assert self.ready.wait(PATIENCE), "the worker does not get ready"
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            self.loop.run_until_complete(self._serve())
        except BaseException as error:
            self.error = error
        finally:
            self.ready.set()
            self.loop.close()

    async def _serve(self) -> None:
        async with model_in_use(load_settings()) as settings:
            app = application(settings)
            client = await connect()
            await prepare(app, client, lambda _: None)
            async with serving(app, client):
                self.ready.set()
                await self.stop.wait()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(PATIENCE)


class Place:
    """The folder, the environment and the worker of one page."""

    def __init__(self, folder: Path, environment: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.environment = environment
        self.dev: Dev | None = None
        self.assigned = ""

    def write(self, block: Block) -> None:
        assert block.file
        file = self.folder / block.file["path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a" if block.file["add"] else "w") as out:
            out.write(f"\n{block.text}" if block.file["add"] else block.text)

    def run(self, block: Block, expected: str) -> None:
        """Runs the lines of a block, and compares what they print with the block behind it."""
        said, lines = "", logical_lines(block.text)
        for line in lines:
            said += self._line(line, str(block))
        missing = not_printed(expected, said)
        deadline = time.monotonic() + PATIENCE
        while missing and words(lines[-1])[:1] == ["backstay"] and words(lines[-1])[1] in READING:
            assert time.monotonic() < deadline, f"{block} does not print {missing}, but:\n{said}"
            time.sleep(0.2)
            missing = not_printed(expected, said := self._line(lines[-1], str(block)))
        assert missing == [], f"{block} does not print {missing}, but:\n{said}"

    def close(self) -> None:
        if self.dev:
            self.dev.close()

    def _line(self, line: str, where: str) -> str:
        wanted = int(found[1]) if (found := EXIT_CODE.search(line)) else 0
        command = words(line)
        if command[0] == "export":
            for pair in command[1:]:
                self.environment.setenv(*pair.split("=", 1))
            return ""
        if command[:2] == ["backstay", "dev"]:
            self.close()
            self.dev = Dev()
            return ""
        if command[0] == "backstay" and "|" not in command:
            code, said = in_this_process(command[1 : command.index(">")] if ">" in command else command[1:])
            if ">" in command:
                (self.folder / command[-1]).write_text(said)
        else:
            script = f"{self.assigned}{line}"
            self.assigned = f"{script}\n" if ASSIGNMENT.match(line) else self.assigned
            done = subprocess.run(
                ["bash", "-ec", script],
                cwd=self.folder,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
            code, said = done.returncode, done.stdout
        assert code == wanted, f"{where}: `{line}` ends with {code}:\n{said}"
        return said


def in_this_process(arguments: list[str]) -> tuple[int, str]:
    """Runs a command of ours as `backstay` would, without the seconds that a process of its own takes."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = execute(arguments)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code, said.getvalue()


def logical_lines(text: str) -> list[str]:
    joined = re.sub(r"\\\n\s*", "", text)
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def words(line: str) -> list[str]:
    """The words of a command, by its plain name also where it is written with the folder of a checkout."""
    found = shlex.split(line, comments=True)
    return [found[0].removeprefix(".venv/bin/"), *found[1:]]


def not_printed(expected: str, said: str) -> list[str]:
    """The expected lines that were not printed, in this order; `…` stands for anything."""
    rest, missing = said.splitlines(), list[str]()
    for line in filter(None, expected.splitlines()):
        pattern = ".*".join(re.escape(part) for part in line.split("…"))
        at = next((at for at, one in enumerate(rest) if re.fullmatch(pattern, one.rstrip())), None)
        if at is None:
            missing.append(line)
        else:
            rest = rest[at + 1 :]
    return missing


@contextlib.contextmanager
def place(folder: Path, address: str) -> Generator[Place]:
    """A folder with nothing in it but the commands, and an environment without any setting of ours."""
    tools = Path(sys.executable).parent
    (folder / ".venv").mkdir(parents=True)
    (folder / ".venv" / "bin").symlink_to(tools)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(OURS) and name != "BACKSTAY_FLEET_KEY":
                patch.delenv(name)
        home = {"HOME": str(folder / "home"), "XDG_STATE_HOME": str(folder / "home" / "state")}
        for name, value in {**home, "TEMPORAL_ADDRESS": address, "COLUMNS": "118"}.items():
            patch.setenv(name, value)
        patch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
        patch.chdir(folder)
        here = Place(folder, patch)
        try:
            yield here
        finally:
            here.close()
