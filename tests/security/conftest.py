"""Two offices: one where every name must be proven, one whose worker can verify nothing."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from backstay.adapters.engine.dev_server import DevServer
from backstay.client.connection import connect
from backstay.testing.runtime import local_runtime

from .office import ALICE, BOB, PAY, RITA, Office, agents, people


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(temporal_server: DevServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Office]:
    """An office where every name must be proven."""
    folder = tmp_path_factory.mktemp("office")
    client = await connect(target_host=temporal_server.address, namespace="default")
    keys = {name: Ed25519PrivateKey.generate() for name in (ALICE, BOB, RITA)}
    issuer = generate_private_key(65_537, 2_048)
    file = people(folder, keys, issuer)
    given: dict[str, Any] = {"agents": agents(folder), "people_keys": file, "require_proof": True}
    async with local_runtime(PAY, client=client, **given) as runtime:
        yield Office(runtime, keys, issuer, folder / "agents" / "desk")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trusting(temporal_server: DevServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Office]:
    """An office whose worker can verify nothing."""
    folder = tmp_path_factory.mktemp("trusting")
    client = await connect(target_host=temporal_server.address, namespace="default")
    async with local_runtime(PAY, client=client, agents=agents(folder)) as runtime:
        keys = {RITA: Ed25519PrivateKey.generate(), ALICE: Ed25519PrivateKey.generate()}
        yield Office(runtime, keys, generate_private_key(65_537, 2_048), folder / "agents" / "desk")
