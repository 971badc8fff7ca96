"""Connects to Temporal the way Temporal's own clients do: environment, then profile, then localhost."""

import asyncio
from typing import Any

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from backstay.adapters.payload.converter import data_converter
from backstay.errors import ConfigurationError, UnreachableError
from backstay.telemetry.setup import client_plugins

PATIENCE_SECONDS = 10.0


async def connect(**overrides: Any) -> Client:
    """A client for `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE` and the rest, or for the given overrides.

    Raises:
        ConfigurationError: the profile or the settings of the connection cannot be read.
        UnreachableError: no Temporal server answers there.
    """
    try:
        found = ClientConfig.load_client_connect_config()
    except RuntimeError as error:
        raise ConfigurationError(str(error), where="Temporal's client configuration") from None
    config: dict[str, Any] = {"target_host": "localhost:7233", **found}
    config.update({key: value for key, value in overrides.items() if value is not None})
    config["plugins"] = [*config.get("plugins", ()), *client_plugins()]
    address = config["target_host"]
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await Client.connect(**config, data_converter=data_converter())
    except (RuntimeError, RPCError, TimeoutError) as error:
        raise UnreachableError(address) from error
    except (ValueError, OSError) as error:  # an address that is none, a certificate that is missing
        raise ConfigurationError(str(error), where="Temporal's client configuration") from None
