"""A command's connection: the client, and where its runs can be seen."""

import asyncio
import getpass
from dataclasses import dataclass

from backstay.client.client import BackstayClient
from backstay.client.connection import connect
from backstay.errors import ConfigurationError
from backstay.settings import Settings, load_settings

from .links import find_ui, run_link


@dataclass(frozen=True, slots=True)
class Connected:
    """A client, and the address of the Temporal UI where that is known."""

    client: BackstayClient
    ui: str | None

    def link(self, run_id: str) -> str | None:
        """The page of a run in the UI."""
        return run_link(self.ui, self.client.temporal.namespace, run_id) if self.ui else None


async def connected(patience: float = 10.0, task_queue: str | None = None) -> Connected:
    """A connection to the server that the environment names; `patience` is for answers of workers.

    Raises:
        UnreachableError: no Temporal server answers there.
        ConfigurationError: the environment cannot be read.
    """
    settings = load_settings()
    temporal = await connect()
    address = temporal.service_client.config.target_host
    ui = await asyncio.to_thread(find_ui, settings.ui, address)
    return Connected(BackstayClient(temporal, task_queue or settings.task_queue, patience=patience), ui)


def person(given: str | None, settings: Settings | None = None) -> str:
    """Who gives an order: as given, else `BACKSTAY_USER`, else the login name.

    Raises:
        ConfigurationError: there is no such name.
    """
    name = given or (settings or load_settings()).user
    if name:
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise ConfigurationError(
            "nobody knows who you are", mend="say it with `--by`, or set `BACKSTAY_USER`"
        ) from None
