"""Connects to Temporal as its own clients do: from the environment, then the profile, then localhost."""

import asyncio
import atexit
import functools
import time
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from backstay.adapters.engine.between_links import send_promptly
from backstay.adapters.payload.converter import data_converter
from backstay.errors import ConfigurationError, UnreachableError
from backstay.telemetry.setup import client_plugins

_LETS_GO_SECONDS = 0.2
PATIENCE_SECONDS = 10.0


async def connect(**overrides: Any) -> Client:
    """Connects to the server that `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE` and the other variables name.

    Args:
        overrides: options of Temporal's `Client.connect`, which win over the environment; None counts as not given.

    Raises:
        ConfigurationError: the profile or a connection setting cannot be read.
        UnreachableError: no Temporal server answers there within ten seconds.
    """
    config = _configured()
    config.update({key: value for key, value in overrides.items() if value is not None})
    config["plugins"] = [*config.get("plugins", ()), *client_plugins()]
    address = config["target_host"]
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            client = send_promptly(await Client.connect(**config, data_converter=data_converter()))
    except (RuntimeError, RPCError, TimeoutError) as error:
        # A thread of the SDK still lets go of the attempt, and crashes in a program that ends meanwhile.
        await asyncio.sleep(_LETS_GO_SECONDS)
        raise UnreachableError(address) from error
    except (ValueError, OSError) as error:  # a malformed address, a missing certificate
        raise ConfigurationError(str(error), where="Temporal's client configuration") from None
    _let_go_at_exit()
    return client


@functools.cache
def _let_go_at_exit() -> None:
    # A thread of the SDK may still hand over the last answer, and crashes in a program that ends meanwhile.
    atexit.register(time.sleep, _LETS_GO_SECONDS)


@dataclass(frozen=True, slots=True)
class Place:
    """Names a server and the namespace on it."""

    address: str
    namespace: str


def place() -> Place:
    """Returns where `connect` would connect to; nothing is asked there.

    Raises:
        ConfigurationError: the profile cannot be read.
    """
    found = _configured()
    return Place(str(found["target_host"]), str(found.get("namespace", "default")))


def _configured() -> dict[str, Any]:
    try:
        return {"target_host": "localhost:7233", **ClientConfig.load_client_connect_config()}
    except RuntimeError as error:
        raise ConfigurationError(str(error), where="Temporal's client configuration") from None
