"""`backstay new`: what it writes runs at once, by the commands that it prints."""

import asyncio
import json
import os
import re
import shlex
import signal
import sys
from pathlib import Path

import pytest

from backstay.adapters.engine.dev_server import free_port
from backstay.cli import execute
from backstay.cli.work.new import GOAL

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 100.0


def environment(**extra: str) -> dict[str, str]:
    ours = ("OPENAI_", "BACKSTAY_", "TEMPORAL_", "OTEL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PYTHONPATH": str(ROOT), **extra}


async def backstay(place: Path, *arguments: str, **extra: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "backstay", *arguments), cwd=place, env=environment(**extra), stdout=-1, stderr=-1
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def steps(out: str) -> list[list[str]]:
    """The printed commands, each as its words; the program stands there as it was called."""
    lines = [line.split("     ")[0] for line in out.splitlines() if line.startswith("  ")]
    called = shlex.join([sys.executable, "-m", "backstay"])
    assert all(called in line for line in lines)
    return [shlex.split(line.replace(called, "backstay")) for line in lines]


@pytest.mark.timeout(300)
async def test_a_new_agent_runs_by_the_commands_that_are_printed(tmp_path: Path) -> None:
    code, out, _ = await backstay(tmp_path, "new", "words")
    assert code == 0
    assert len((tmp_path / "agents" / "words" / "agent.toml").read_text().splitlines()) == 5
    policy_test, dev, run = steps(out)
    assert [command[:2] for command in (policy_test, dev, run)] == [
        ["backstay", "policy"],
        ["backstay", "dev"],
        ["backstay", "run"],
    ]
    tested = await backstay(tmp_path, *policy_test[1:])
    assert tested[:2] == (0, "words: 1 passed\n")
    port = free_port()
    log = tmp_path / "dev.err"
    with log.open("wb") as stderr:
        serving = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "backstay", *dev[1:], "--port", str(port), "--ui-port", "0"),
            cwd=tmp_path,
            env=environment(),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        await says(log, "worker ready: agents default, words on task queue")
        ended = await backstay(tmp_path, *run[1:], TEMPORAL_ADDRESS=f"127.0.0.1:{port}")
        assert ended[0] == 0, ended[2]
        assert "→ count_words(text=" in ended[2]
        assert re.search(r"^status +completed$", ended[1], re.M)
    finally:
        serving.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(serving.wait(), PATIENCE) == 0
    assert "--agent words" in log.read_text()


async def says(log: Path, text: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while text not in await asyncio.to_thread(log.read_text):
            await asyncio.sleep(0.05)


async def test_a_folder_elsewhere_is_named_in_the_commands(tmp_path: Path) -> None:
    _, out, _ = await backstay(tmp_path, "new", "words", "--path", "my agents")
    first, dev, run = steps(out)
    assert first[:2] == ["BACKSTAY_AGENTS=my agents", "backstay"]
    assert dev == ["BACKSTAY_AGENTS=my agents", "backstay", "dev"]
    assert run[0] == "backstay"
    code, tested, _ = await backstay(tmp_path, *first[2:], BACKSTAY_AGENTS="my agents")
    assert (code, tested) == (0, "words: 1 passed\n")


def test_a_program_reads_what_was_written_and_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["new", "words", "--path", str(tmp_path), "-o", "json"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert (written["agent"], written["folder"]) == ("words", str(tmp_path / "words"))
    assert sorted(written["files"]) == sorted(file.name for file in (tmp_path / "words").iterdir())
    assert shlex.split(written["next"][2]) == ["backstay", "run", GOAL, "--agent", "words"]


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "words"
    folder.mkdir()
    assert execute(["new", "words", "--path", str(tmp_path)]) == 2
    assert list(folder.iterdir()) == []


def test_a_bad_name_writes_nothing(tmp_path: Path) -> None:
    for name in ("../words", "a b", ".hidden", "a/b", "x" * 81):
        assert execute(["new", name, "--path", str(tmp_path)]) == 2
    assert list(tmp_path.iterdir()) == []
