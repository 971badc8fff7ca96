"""`backstay setup`: prepares a namespace for runs."""

from backstay.adapters.engine.search_attributes import register
from backstay.contracts.names import SEARCH_ATTRIBUTES

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.terminal import say, write


def setup() -> int:
    """Register the search attributes of runs in the namespace; may be run again.

    Exit code: 0 all are there, 2 one has another type or the server refuses, 5 Temporal unreachable.
    """
    return run_loop(_setup())


async def _setup() -> int:
    link = await connected()
    temporal = link.client.temporal
    say(f"search attributes of the namespace `{temporal.namespace}` at {temporal.service_client.config.target_host}")
    done = await register(temporal, mend="run `backstay setup` as somebody who may add them")
    for name, outcome in done.items():
        write(f"{outcome:9}{name} ({SEARCH_ATTRIBUTES[name]})")
    return ExitCode.COMPLETED
