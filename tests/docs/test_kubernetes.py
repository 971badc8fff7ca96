"""The files in `deploy/kubernetes/` agree with each other and with the settings, and the versioned worker serves."""

import asyncio
import os
import re
import sys
import uuid
from pathlib import Path
from typing import Any

import yaml
from temporalio.client import Client

from backstay.adapters.engine.dev_server import DevServer, temporal_binary
from backstay.app.health import LIVE, READY
from backstay.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
MANIFESTS = [
    (file.name, manifest) for file in sorted(FOLDER.glob("*.yaml")) for manifest in yaml.safe_load_all(file.read_text())
]
BY_KIND: dict[str, dict[str, Any]] = {manifest["kind"]: manifest for _, manifest in MANIFESTS}
READY_SECONDS = 60.0


def pods() -> list[dict[str, Any]]:
    return [BY_KIND[kind]["spec"]["template"]["spec"] for kind in ("Deployment", "WorkerDeployment")]


def test_every_manifest_has_a_kind_a_name_and_our_namespace() -> None:
    for file, manifest in MANIFESTS:
        assert manifest["apiVersion"], file
        assert manifest["metadata"].get("namespace", manifest["metadata"]["name"]) == "backstay", file


def test_every_setting_exists() -> None:
    known = {f"BACKSTAY_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"\bBACKSTAY_[A-Z_]+\b", "".join(file.read_text() for file in FOLDER.iterdir())))
    assert len(named) > 5
    assert named - known == set()


def test_every_worker_reads_the_shared_settings_and_may_do_nothing_else() -> None:
    for pod in pods():
        (container,) = pod["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": "backstay"}}, {"secretRef": {"name": "backstay"}}]
        assert pod["securityContext"]["runAsNonRoot"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        grace = {one["name"]: one["value"] for one in container["env"]}["BACKSTAY_SHUTDOWN_SECONDS"]
        assert pod["terminationGracePeriodSeconds"] > int(grace)


def test_every_worker_is_asked_for_its_health_where_it_answers() -> None:
    address = BY_KIND["ConfigMap"]["data"]["BACKSTAY_HEALTH"]
    port = int(address.removeprefix("0.0.0.0:"))  # probes come to the address of the pod
    for pod in pods():
        (container,) = pod["containers"]
        assert port in {one["containerPort"] for one in container["ports"]}
        asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
        assert asked == {
            "startup": {"path": LIVE, "port": port},
            "liveness": {"path": LIVE, "port": port},
            "readiness": {"path": READY, "port": port},
        }


def test_each_version_is_scaled_by_a_template_of_its_own() -> None:
    template = BY_KIND["WorkerResourceTemplate"]["spec"]
    assert template["workerDeploymentRef"]["name"] == BY_KIND["WorkerDeployment"]["metadata"]["name"]
    assert template["template"]["spec"]["scaleTargetRef"] == {}
    assert BY_KIND["WorkerDeployment"]["spec"]["workerOptions"]["connectionRef"] == {"name": "temporal"}


def test_the_scaler_asks_about_the_queue_and_the_server_of_the_workers() -> None:
    settings, scaler = BY_KIND["ConfigMap"]["data"], BY_KIND["ScaledObject"]["spec"]
    (trigger,) = scaler["triggers"]
    assert scaler["scaleTargetRef"]["name"] == BY_KIND["Deployment"]["metadata"]["name"]
    assert trigger["metadata"]["taskQueue"] == settings["BACKSTAY_TASK_QUEUE"]
    assert trigger["metadata"]["namespace"] == settings["TEMPORAL_NAMESPACE"]
    assert trigger["metadata"]["endpoint"] == settings["TEMPORAL_ADDRESS"] == BY_KIND["Connection"]["spec"]["hostPort"]


async def test_the_versioned_worker_serves_runs_once_its_version_is_current(
    temporal_server: DevServer, client: Client
) -> None:
    queue = deployment = f"agents-{uuid.uuid4().hex[:8]}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "TEMPORAL_"))},
        "TEMPORAL_ADDRESS": temporal_server.address,
        "TEMPORAL_DEPLOYMENT_NAME": deployment,
        "TEMPORAL_WORKER_BUILD_ID": "1",
        "BACKSTAY_TASK_QUEUE": queue,
        "OPENAI_API_KEY": "nobody-asks",
    }
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, str(FOLDER / "versioned_worker.py")),
        env=environment,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert worker.stdout is not None
        async with asyncio.timeout(READY_SECONDS):
            while b"worker ready" not in await worker.stdout.readline():
                assert worker.returncode is None
            while not await made_current(temporal_server.address, deployment):
                await asyncio.sleep(0.2)
            run = await client.start_workflow("AgentRun", {"goal": "x", "agent": "nobody"}, id=queue, task_queue=queue)
            described = await closed(run)
    finally:
        worker.terminate()
        await worker.wait()
    assert described.raw_description.workflow_execution_info.versioning_info.deployment_version.build_id == "1"


async def made_current(address: str, deployment: str) -> bool:
    """Makes the version current; not yet possible before its worker has asked for work."""
    command = (temporal_binary(), "worker", "deployment", "set-current-version", "--yes", "--address", address)
    named = ("--deployment-name", deployment, "--build-id", "1")
    done = await asyncio.create_subprocess_exec(*command, *named, stdout=-3, stderr=-3)
    return await done.wait() == 0


async def closed(run: Any) -> Any:
    while (described := await run.describe()).close_time is None:
        await asyncio.sleep(0.1)
    return described
