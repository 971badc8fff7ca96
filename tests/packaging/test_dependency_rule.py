"""The dependency rule catches an import that breaks it, planted in a copy of the checkout."""

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = "a layer imports only what lies below it"
LISTED = "every module of the library has its layer"
FOLDERS = "workflows, activities and policies never import each other"
DOOR = "of the library, only the door in backstay.app knows the application folders"
TELEMETRY = "telemetry has no circle"
COMMAND = "a command prints through the views"

BREACHES = {
    "an adapter and the command": ("backstay/adapters/model/prices.py", "import backstay.cli.shell.exit", LAYERS),
    "an adapter and the client": ("backstay/adapters/model/prices.py", "import backstay.client.fleet", LAYERS),
    "an adapter and a policy": ("backstay/adapters/model/prices.py", "import policies.gate", DOOR),
    "an adapter and an activity": ("backstay/adapters/model/prices.py", "import activities.act", LAYERS),
    "an adapter and a check": ("backstay/adapters/model/prices.py", "import backstay.checks.health", LAYERS),
    "an activity and an adapter": ("activities/act.py", "import backstay.adapters.engine.history", LAYERS),
    "a policy and an adapter": ("policies/gate.py", "import backstay.adapters.agent.folder", LAYERS),
    "a policy and a port": ("policies/gate.py", "import backstay.ports", LAYERS),
    "a tool and the settings": ("backstay/tools/facts.py", "import backstay.settings", LAYERS),
    "the client and the application": ("backstay/client/fleet.py", "import backstay.app.application", LAYERS),
    "a check and the scripted model": ("backstay/checks/health.py", "import backstay.testing", LAYERS),
    "the scripted model and the comparison": ("backstay/testing/runtime.py", "import backstay.compare.stage", LAYERS),
    "the application and a check": ("backstay/app/application.py", "import backstay.checks.health", LAYERS),
    "an error and the settings": ("backstay/errors/base.py", "import backstay.settings", LAYERS),
    "a workflow and an error": ("workflows/effect.py", "import backstay.errors", LAYERS),
    "a contract and a workflow": ("backstay/contracts/run.py", "import workflows.options", LAYERS),
    "the kernel and a contract": ("backstay/kernel/stop.py", "import backstay.contracts.names", LAYERS),
    "a module of no layer": ("backstay/helpers.py", "", LISTED),
    "a workflow and an activity": ("workflows/effect.py", "import activities.act", FOLDERS),
    "an activity and a policy": ("activities/act.py", "import policies.gate", FOLDERS),
    "a check and a folder": ("backstay/checks/what_if.py", "import policies.gate", DOOR),
    "the composition beside its door": ("backstay/app/application.py", "import activities.act", DOOR),
    "a tracer and its set-up": (
        "backstay/telemetry/tracer.py",
        "def later() -> None:\n    from .setup import flush",
        TELEMETRY,
    ),
    "runs and activities in telemetry": ("backstay/telemetry/runs.py", "from . import activities", TELEMETRY),
    "a module of telemetry without a layer": ("backstay/telemetry/helpers.py", "", TELEMETRY),
    "a view and a command": ("backstay/cli/views/report.py", "from ..commands import kill", COMMAND),
    "the shell and a view": ("backstay/cli/shell/exit.py", "from ..views import report", COMMAND),
}


def linted(checkout: Path) -> str:
    said = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    return f"{said.returncode}\n{said.stdout}{said.stderr}"


def test_the_copy_itself_keeps_the_rule(checkout: Path) -> None:
    assert linted(checkout).startswith("0\n")


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_caught(breach: str, checkout: Path, plant: Callable[[str, str], None]) -> None:
    file, line, contract = BREACHES[breach]
    plant(file, line)
    said = linted(checkout)
    broken = [line for line in said.splitlines() if line.endswith("BROKEN")]
    assert said.startswith("1\n"), said
    assert any(line.startswith(contract) for line in broken), said


@pytest.mark.parametrize("folder", ["workflows", "activities", "policies"])
def test_inside_an_application_folder_imports_are_relative(folder: str) -> None:
    """The wheel holds the folder under another name."""
    absolute = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
        if name and name.split(".")[0] == folder and not getattr(node, "level", 0)
    ]
    assert absolute == []
