"""The lock files: pins with hashes that agree with each other, and nothing of the machine that wrote them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN, DEV, UV = "requirements.lock", "requirements-dev.lock", "requirements-uv.lock"
PEERS = "benchmarks/peers.lock"
PIN = re.compile(r"^([\w.-]+==[^\s;]+)[^\\\n]*((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)


def pins(lock: str) -> dict[str, frozenset[str]]:
    """Each `name==version` of a lock with its hashes."""
    return {pin: frozenset(hashes.split()) - {"\\"} for pin, hashes in PIN.findall((ROOT / lock).read_text())}


@pytest.mark.parametrize("lock", [RUN, DEV, UV, PEERS])
def test_a_lock_holds_only_pins_with_hashes(lock: str) -> None:
    left = re.sub(r"^ +#.*\n?", "", PIN.sub("", (ROOT / lock).read_text()), flags=re.MULTILINE)
    assert left.split() == []
    assert pins(lock)


@pytest.mark.parametrize("lock", [RUN, DEV, UV, PEERS])
def test_a_lock_names_no_index_and_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.findall(r"index|find-links|trusted-host", text)


def test_developing_only_adds_to_running() -> None:
    assert pins(RUN).items() < pins(DEV).items()


def test_the_peers_of_the_benchmarks_run_on_the_same_engine_and_the_same_client_as_we_do() -> None:
    shared = ("temporalio==", "openai==", "pydantic==")
    ours, theirs = ({pin for pin in pins(lock) if pin.startswith(shared)} for lock in (RUN, PEERS))
    assert ours == theirs
    assert len(ours) == 3


def test_running_fetches_neither_node_nor_compose_nor_a_test() -> None:
    heavy = ("nodejs", "pyright", "docker-compose", "ruff", "pytest", "hypothesis", "uv==")
    assert not [pin for pin in pins(RUN) if pin.startswith(heavy)]
