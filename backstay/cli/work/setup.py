"""`backstay setup`: prepares a namespace for runs."""

from backstay.adapters.engine.search_attributes import register
from backstay.contracts.names import SEARCH_ATTRIBUTES

from ..shell.connected import connected
from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.terminal import Output, say, write, write_json


def setup(output: Output) -> int:
    """Runs `backstay setup` and returns its exit code."""
    return run_loop(_setup(output))


async def _setup(output: Output) -> int:
    link = await connected()
    temporal = link.client.temporal
    say(f"search attributes of the namespace `{temporal.namespace}` at {temporal.service_client.config.target_host}")
    done = await register(temporal, mend="run `backstay setup` as somebody who may add them")
    found = [(name, SEARCH_ATTRIBUTES[name], outcome) for name, outcome in done.items()]
    if output is Output.JSON:
        attributes = [{"name": name, "type": kind, "outcome": outcome} for name, kind, outcome in found]
        write_json({"namespace": temporal.namespace, "search_attributes": attributes})
    else:
        write(*(f"{outcome:9}{name} ({kind})" for name, kind, outcome in found))
    return ExitCode.COMPLETED
