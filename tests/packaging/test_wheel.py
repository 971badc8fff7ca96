"""The wheel beside a package that owns the top-level name `workflows`."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import backstay

ROOT = Path(__file__).resolve().parents[2]
NEIGHBOUR = "llama-index-workflows==2.26.1"
FOLDERS = ("workflows", "activities", "policies", "agents")


def run(*command: str | Path, cwd: Path, timeout: float = 270) -> subprocess.CompletedProcess[str]:
    # What the caller's shell says of Python must not leak in: the wheel has to stand on its own.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    words = [str(part) for part in command]
    try:
        return subprocess.run(words, cwd=cwd, env=clean, timeout=timeout, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 124, "", f"no end after {timeout:.0f} s")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    built = run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", out, cwd=ROOT)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel: Path) -> frozenset[str]:
    with zipfile.ZipFile(wheel) as archive:
        return frozenset(archive.namelist())


def pins_of_the_lock() -> str:
    """The lock as constraints: versions without hashes, because the neighbour has none there."""
    return "\n".join(re.findall(r"^[\w.-]+==[\w.]+", (ROOT / "requirements.lock").read_text(), re.MULTILINE))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment that holds the wheel and its neighbour, installed in one go."""
    home = tmp_path_factory.mktemp("environment")
    venv = home / "venv"
    made = run(sys.executable, "-m", "venv", venv, cwd=home)
    assert made.returncode == 0, made.stdout + made.stderr
    (home / "pins.txt").write_text(pins_of_the_lock())
    installed = run(
        *(venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-input", "--only-binary", ":all:"),
        *("-c", home / "pins.txt", wheel, NEIGHBOUR),
        cwd=home,
    )
    assert installed.returncode == 0, (
        f"could not install {wheel.name} beside {NEIGHBOUR}: this test needs a package index that pip "
        f"reaches with this machine's configuration\n{installed.stdout}{installed.stderr}"
    )
    return venv


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_wheel_holds_each_application_folder_under_the_one_name(names: frozenset[str], folder: str) -> None:
    assert any(name.startswith(f"backstay/{folder}/") for name in names)


@pytest.mark.parametrize("file", ["backstay/py.typed", "backstay/agents/support/agent.toml"])
def test_the_wheel_holds_what_is_not_python(names: frozenset[str], file: str) -> None:
    assert file in names


def test_the_wheel_owns_no_other_top_level_name(names: frozenset[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert tops == {"backstay", f"backstay-{backstay.__version__}.dist-info"}


def test_the_wheel_carries_neither_tests_nor_caches(names: frozenset[str]) -> None:
    assert not [name for name in names if "__pycache__" in name or name.startswith(("tests/", "benchmarks/"))]


@pytest.mark.timeout(300)
def test_the_command_runs_beside_a_package_that_owns_the_name_workflows(environment: Path) -> None:
    said = run(environment / "bin" / "backstay", "--version", cwd=environment)
    assert said.returncode == 0, said.stdout + said.stderr
    assert backstay.__version__ in said.stdout


@pytest.mark.timeout(300)
def test_the_neighbours_workflows_stays_its_own(environment: Path) -> None:
    ask = "import workflows, backstay.workflows; print(workflows.__file__, hasattr(workflows, 'Workflow'))"
    said = run(environment / "bin" / "python", "-c", ask, cwd=environment)
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip().endswith("site-packages/workflows/__init__.py True")


@pytest.mark.timeout(300)
def test_the_demo_and_a_new_agent_work_in_an_empty_folder(environment: Path, tmp_path: Path) -> None:
    shown = run(environment / "bin" / "backstay", "demo", cwd=tmp_path)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    made = run(environment / "bin" / "backstay", "new", "clerk", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "agents" / "clerk" / "agent.toml").is_file()
