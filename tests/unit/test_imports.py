"""What an import loads, seen from a fresh interpreter."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backstay.app.workflows import sandbox

ROOT = Path(__file__).resolve().parents[2]
OURS = frozenset({"backstay", "workflows", "activities", "policies", "agents"})

# Names are compared with those loaded before the import, because a `.pth` file may load modules of its own.
PROBE = """
import json, sys
before = set(sys.modules)
for name in sys.argv[1:]:
    __import__(name)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded_by(*modules: str) -> frozenset[str]:
    """The full names of all modules that a fresh interpreter loads for these imports."""
    said = subprocess.run([sys.executable, "-c", PROBE, *modules], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr
    return frozenset(json.loads(said.stdout))


def third_party(modules: frozenset[str]) -> set[str]:
    return {name.split(".")[0] for name in modules} - OURS - sys.stdlib_module_names


def test_the_package_itself_loads_nothing() -> None:
    assert loaded_by("backstay") == {"backstay"}


def test_the_kernel_loads_no_third_party_module() -> None:
    assert third_party(loaded_by("backstay.kernel")) == set()


def test_every_module_of_the_kernel_loads_no_third_party_module() -> None:
    folder = ROOT / "backstay" / "kernel"
    modules = [f"backstay.kernel.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__"]
    assert third_party(loaded_by(*modules)) == set()


@pytest.mark.parametrize("modules", [("workflows.agent_run",), ("backstay.app.folders", "workflows.agent_run")])
def test_a_workflow_loads_no_client_of_the_outside_world(modules: tuple[str, ...]) -> None:
    tops = third_party(loaded_by(*modules))
    assert tops.isdisjoint({"openai", "httpx2", "aiohttp", "aiosmtpd", "cedarpy", "genai_prices", "typer"})


def test_a_workflow_loads_no_activity_and_no_policy() -> None:
    tops = {name.split(".")[0] for name in loaded_by("workflows.agent_run")}
    assert tops.isdisjoint({"activities", "policies", "agents"})


def test_a_worker_loads_only_the_definitions_anew_for_each_run_and_a_replay_everything() -> None:
    files = [file.relative_to(ROOT).with_suffix("") for file in (ROOT / "workflows").rglob("*.py")]
    parts = {".".join(file.parts) for file in files if file.name != "__init__"}
    kept = {
        "workflows.breakers",
        "workflows.control_plane",
        "workflows.incident_sweep",
        "workflows.tenant_grants",
        "workflows.tenant_ledger",
        "workflows.provider_quota",
    }
    definitions = {"workflows.agent_run", "workflows.effect", *kept}
    through = sandbox().restrictions.passthrough_modules
    assert "workflows.run.live" in parts
    assert through & parts == parts - definitions
    assert "workflows" not in through
    assert not sandbox(checked=True).restrictions.passthrough_modules & parts


def test_the_words_of_a_script_load_no_http_library() -> None:
    assert "aiohttp" not in third_party(loaded_by("backstay.testing"))


HELP = """
import sys
from backstay.cli import COMMANDS, execute
for name in COMMANDS:
    assert execute([name, "--help"]) == 0
print(*sorted({name.split(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def test_the_help_of_every_command_loads_no_library_but_the_one_that_writes_it() -> None:
    said = subprocess.run([sys.executable, "-c", HELP], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr
    heavy = {
        "temporalio",
        "pydantic",
        "openai",
        "rich",
        "cryptography",
        "opentelemetry",
        "uvloop",
        "cedarpy",
        "aiohttp",
    }
    assert set(said.stderr.split()) & heavy == set()
