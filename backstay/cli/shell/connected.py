"""Connects a command to Temporal, and finds the page of a run in Temporal's UI."""

import asyncio
import getpass
from dataclasses import dataclass

from backstay.adapters.proof.key import own_key
from backstay.client.client import BackstayClient
from backstay.client.connection import connect
from backstay.errors import ConfigurationError
from backstay.settings import Settings, load_settings

from .links import find_ui, run_link


@dataclass(frozen=True, slots=True)
class Connected:
    """Holds a client, and the address of the Temporal UI if it is known."""

    client: BackstayClient
    ui: str | None

    def link(self, run_id: str) -> str | None:
        """Returns the address of a run's page in the UI."""
        return run_link(self.ui, self.client.temporal.namespace, run_id) if self.ui else None


async def connected(patience: float = 10.0, task_queue: str | None = None, *, signs: bool = False) -> Connected:
    """Connects to the server that the environment names.

    Args:
        patience: seconds to wait for answers of workers.
        task_queue: where runs are served; default: as the settings say.
        signs: proves messages with the key of whoever is logged in, if there is one.

    Raises:
        UnreachableError: no Temporal server answers there.
        ConfigurationError: the environment cannot be read.
    """
    settings = load_settings()
    temporal = await connect()
    address = temporal.service_client.config.target_host
    ui = await asyncio.to_thread(find_ui, settings.ui, address)
    client = BackstayClient(temporal, task_queue or settings.task_queue, patience=patience)
    if signs and (key := own_key()):
        client.signer = key.sign
    return Connected(client, ui)


def person(given: str | None, settings: Settings | None = None) -> str:
    """Names the person who gives an order.

    Args:
        given: the name as typed; default: `BACKSTAY_USER`, else the login name.
        settings: the settings, if they have been read already.

    Raises:
        ConfigurationError: no name is known.
    """
    name = given or (settings or load_settings()).user
    if name:
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise ConfigurationError("your name is not known", mend="give it with `--by`, or set `BACKSTAY_USER`") from None
