"""Lists the workflows that workers serve, and makes the sandbox in which they run."""

import importlib
import pkgutil

from temporalio.worker.workflow_sandbox import SandboxRestrictions

from backstay.adapters.engine.sandbox import LeanSandbox
from backstay.app import folders


def of_runs() -> list[type]:
    """Returns the workflows of one fleet: its runs, and the effects that they share."""
    return [folders.agent_run.AgentRun, folders.effect.Effect]


def shared() -> list[type]:
    """Returns the workflows that all fleets of a namespace share."""
    return [
        folders.control_plane.ControlPlane,
        folders.incident_sweep.Incident,
        folders.breakers.Breakers,
        folders.tenant_ledger.TenantLedger,
        folders.tenant_grants.TenantGrants,
        folders.provider_quota.ProviderQuota,
    ]


def sandbox(*, checked: bool = False, placed: bool = False) -> LeanSandbox:
    """Returns the sandbox of workflows.

    It does not load again what is pure, the kernel and the contracts, nor the modules that define no workflow.

    Args:
        checked: loads those modules inside too and holds them to the sandbox's restrictions, as every replay does.
        placed: tells the codec where each payload belongs.
    """
    through = ["backstay.kernel", "backstay.contracts", "pydantic", "pydantic_core", "annotated_types"]
    through += ["typing_extensions", *([] if checked else _workflow_parts())]
    runner = LeanSandbox(restrictions=SandboxRestrictions.default.with_passthrough_modules(*through))
    runner.placed = placed
    return runner


def _workflow_parts() -> list[str]:
    """Lists the modules of `workflows` that define no workflow."""
    package = folders.module_name("workflows")
    defining = {one.__module__ for one in (*of_runs(), *shared())}
    found = pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
    return [module.name for module in found if module.name not in defining]
