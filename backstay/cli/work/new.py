"""`backstay new`: writes the folder of a first agent, small enough to read in one go."""

import shlex
from pathlib import Path

from backstay.adapters.agent.folder import check_name
from backstay.app.folders import SHIPPED_AGENTS
from backstay.errors import ConfigurationError
from backstay.settings import Settings, load_settings

from ..shell.exit import ExitCode
from ..shell.program import program
from ..shell.terminal import Output, write, write_json

FILES = {
    "agent.toml": """\
description = "Counts words. Change it to what your agent is for."
instructions = "You count words with `count_words`. Never guess a number. Answer in one sentence."

[budget]
usd = "0.10"
""",
    "tools.py": '''\
"""The agent's tools: each function marked `@tool`. The model reads its docstring."""

from backstay.tools import tool


@tool(effect="read")
def count_words(text: str) -> int:
    """Count the words of a text."""
    return len(text.split())
''',
    "cases.toml": """\
# What the rules must say of these calls; `backstay policy test` runs them.

[[case]]
tool = "count_words"
args = { text = "one two three" }
expect = "allow"
""",
}
GOAL = "How many words are in: the quick brown fox?"


def new(name: str, path: Path, output: Output) -> int:
    """Runs `backstay new` and returns its exit code."""
    check_name(name)
    folder = path / name
    _written(folder)
    steps = _next_steps(name, path, load_settings())
    if output is Output.JSON:
        write_json({"agent": name, "folder": str(folder), "files": list(FILES), "next": steps})
    else:
        write(f"made {folder}: {', '.join(FILES)}", "", "next:", *(f"  {step}" for step in steps[:-1]))
        write(f"  {steps[-1]}     in another terminal, while `dev` runs")
    return ExitCode.COMPLETED


def _written(folder: Path) -> None:
    if folder.exists():
        mend = "choose another name"
        raise ConfigurationError("exists already, and stays as it is", where=str(folder), mend=mend)
    try:
        folder.mkdir(parents=True)
        for file, text in FILES.items():
            (folder / file).write_text(text, "utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot be written: {error.strerror}", where=str(folder)) from None


def _next_steps(name: str, path: Path, settings: Settings) -> list[str]:
    """Returns commands that work as they are from this directory."""
    read = [folder.resolve() for folder in settings.agent_folders(SHIPPED_AGENTS)]
    folders = [*(settings.agents or []), path]
    elsewhere = "" if path.resolve() in read else f"BACKSTAY_AGENTS={shlex.quote(':'.join(map(str, folders)))} "
    return [
        f"{elsewhere}{program()} policy test {name}",
        f"{elsewhere}{program()} dev",
        f'{program()} run "{GOAL}" --agent {name}',
    ]
