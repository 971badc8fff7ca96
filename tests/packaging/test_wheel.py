"""The wheel beside a package that owns the top-level name `workflows`, and alone, without its extras."""

import json
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
UV = ROOT / ".uv" / "bin" / "uv"
FOLDERS = ("workflows", "activities", "policies", "agents")


def run(*command: str | Path, cwd: Path, timeout: float = 270) -> subprocess.CompletedProcess[str]:
    # What the caller's shell says of Python must not leak in: the wheel has to stand on its own.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    words = [str(part) for part in command]
    try:
        return subprocess.run(words, cwd=cwd, env=clean, timeout=timeout, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 124, "", f"no end after {timeout:.0f} s")


def ran(*command: str | Path, cwd: Path) -> None:
    """Runs a command that must succeed."""
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    ran(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", out, cwd=ROOT)
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel: Path) -> frozenset[str]:
    with zipfile.ZipFile(wheel) as archive:
        return frozenset(archive.namelist())


def pins_of_the_lock() -> str:
    """The lock as constraints: versions without hashes, because the neighbour has none there."""
    return "\n".join(re.findall(r"^[\w.-]+==[\w.]+", (ROOT / "requirements.lock").read_text(), re.MULTILINE))


def installed(home: Path, *wanted: str | Path) -> Path:
    """A fresh environment that holds what is wanted, installed in one go, in the versions of the lock.

    As `make` does, from uv's cache, else by uv from an index, else by pip, which takes half a minute of a core.
    """
    venv = home / "venv"
    (home / "pins.txt").write_text(pins_of_the_lock())
    words = ("--quiet", "--only-binary", ":all:", "-c", home / "pins.txt", *wanted)
    by_uv = (UV, "pip", "install", "--python", venv / "bin" / "python")
    if UV.exists():
        ran(sys.executable, "-m", "venv", "--without-pip", venv, cwd=home)
        if any(run(*by_uv, *network, *words, cwd=home).returncode == 0 for network in (("--offline",), ())):
            return venv
    ran(sys.executable, "-m", "venv", "--clear", venv, cwd=home)
    done = run(venv / "bin" / "python", "-m", "pip", "install", "--no-input", *words, cwd=home)
    assert done.returncode == 0, (
        f"could not install {wanted}: this test needs a package index that uv or pip reaches with this machine's "
        f"configuration\n{done.stdout}{done.stderr}"
    )
    return venv


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel with all of its extras beside its neighbour."""
    return installed(tmp_path_factory.mktemp("environment"), f"{wheel}[dev]", NEIGHBOUR)


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel without extras, as somebody has it who only starts runs."""
    return installed(tmp_path_factory.mktemp("alone"), wheel)


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


CLIENT = """
import asyncio, backstay
from backstay.client import BackstayClient, connect
from backstay.contracts.run import RunRequest
from backstay.errors import MissingExtraError, UnreachableError

try:
    asyncio.run(BackstayClient.connect(target_host="127.0.0.1:1"))
except UnreachableError:
    print(backstay.__version__, RunRequest(goal="x").agent)
"""


@pytest.mark.timeout(300)
def test_alone_it_starts_runs_and_speaks_to_them(alone: Path) -> None:
    said = run(alone / "bin" / "python", "-c", CLIENT, cwd=alone)
    assert (said.stdout, said.returncode) == (f"{backstay.__version__} default\n", 0), said.stderr
    shown = run(alone / "bin" / "backstay", "--help", cwd=alone)
    assert shown.returncode == 0, shown.stderr


SPEAKING = (
    *("run x", "list", "show r", "watch r", "result r", "transcript r", "kill r --reason x", "pause r", "resume r"),
    *("approvals", "approve r", "deny r", "edit r --args {}", "answer r stop", "setup"),
)


@pytest.mark.timeout(300)
def test_alone_every_command_that_speaks_to_a_server_looks_for_one(alone: Path) -> None:
    """All in one process, because each start of Python costs a second on a busy machine."""
    lines = [
        [*line.split(), "--by", "me"] if line.split()[0] in ("approve", "deny") else line.split() for line in SPEAKING
    ]
    code = f"from backstay.cli import execute; print([execute(line) for line in {lines}])"
    said = run(
        alone / "bin" / "python", "-c", f"import os; os.environ['TEMPORAL_ADDRESS'] = '127.0.0.1:1'; {code}", cwd=alone
    )
    assert said.stdout.strip() == str([5] * len(lines)).replace("5", "<ExitCode.UNREACHABLE: 5>"), said.stderr


NEEDS = {
    "worker": ("worker", "policy check", "replay r", "new clerk", "codec-server", "show --agent support"),
    "dev": ("dev", "demo", "compare"),
}
IN_TURN = """
import contextlib, io, json, sys
from backstay.cli import execute

said = []
for line in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = execute(line.split())
    said.append((code, out.getvalue(), err.getvalue()))
print(json.dumps(said))
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("extra", NEEDS)
def test_alone_other_commands_say_in_one_line_what_to_install(alone: Path, extra: str) -> None:
    told = run(alone / "bin" / "python", "-c", IN_TURN, json.dumps(NEEDS[extra]), cwd=alone)
    assert told.returncode == 0, told.stderr
    for line, (code, out, err) in zip(NEEDS[extra], json.loads(told.stdout), strict=True):
        assert (code, out) == (2, ""), (line, err)
        assert err.splitlines()[0].endswith(f"which is not installed; pip install 'backstay[{extra}]'"), line
        assert len(err.splitlines()) == 1, err


@pytest.mark.timeout(300)
def test_alone_a_program_is_told_what_to_install(alone: Path) -> None:
    said = run(alone / "bin" / "backstay", "policy", "check", "-o", "json", cwd=alone)
    error = json.loads(said.stdout)["error"]
    assert (said.returncode, error["code"], error["do"]) == (2, "MissingExtra", "pip install 'backstay[worker]'")
    for line in (
        "from backstay.testing import ScriptedModel",
        "import backstay.app.worker",
        "import backstay.checks.health",
    ):
        told = run(alone / "bin" / "python", "-c", line, cwd=alone)
        assert "not installed; pip install 'backstay[worker]'" in told.stderr.splitlines()[-1], told.stderr


@pytest.mark.timeout(300)
def test_alone_the_doctor_checks_the_connection(alone: Path) -> None:
    code = "import os, sys; os.environ['TEMPORAL_ADDRESS'] = '127.0.0.1:1'; from backstay.cli import execute"
    said = run(alone / "bin" / "python", "-c", f"{code}; sys.exit(execute(['doctor']))", cwd=alone)
    assert said.returncode == 5, said.stderr
    assert "no Temporal server answers at `127.0.0.1:1`" in said.stdout
    assert "pip install 'backstay[worker]'" in said.stdout


@pytest.mark.timeout(300)
def test_alone_help_is_there_for_every_command(alone: Path) -> None:
    code = "from backstay.cli import COMMANDS, execute; print([execute([name, '--help']) for name in COMMANDS][-1])"
    said = run(alone / "bin" / "python", "-c", code, cwd=alone)
    assert said.returncode == 0, said.stderr
    assert "Traceback" not in said.stderr
