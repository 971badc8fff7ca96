"""The scripted model as a command, in a process of its own."""

import asyncio
import subprocess
import sys
from pathlib import Path

from openai import AsyncOpenAI


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "backstay.testing.model.server", *arguments]


async def test_the_command_says_where_it_listens_and_plays_its_file(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('[{"text": "from the file"}]')
    server = await asyncio.create_subprocess_exec(*command("--script", str(script)), stdout=asyncio.subprocess.PIPE)
    try:
        assert server.stdout is not None
        line = (await server.stdout.readline()).decode()
        assert line.startswith("scripted model listening on http://127.0.0.1:")
        assert line.endswith("/v1 (no real model is behind it)\n")
        async with AsyncOpenAI(base_url=line.split()[4], api_key="none", max_retries=0) as client:
            assert (await client.responses.create(model="any", input="hello")).output_text == "from the file"
    finally:
        server.terminate()
    assert await asyncio.wait_for(server.wait(), 10) == 0


def test_the_command_refuses_a_wrong_file_in_one_line(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text("[{}]")
    for path, message in (
        (script, "script.json: [0]: needs one of"),
        (tmp_path / "none.json", "No such file"),
    ):
        run = subprocess.run(command("--script", str(path)), capture_output=True, text=True, check=False)
        assert run.returncode == 2
        assert message in run.stderr
        assert run.stderr.count("\n") == 1


def test_the_words_of_a_script_load_no_http_library() -> None:
    code = "import backstay.testing, sys; sys.exit('aiohttp' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
