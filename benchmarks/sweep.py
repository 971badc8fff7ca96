"""Measures how long a stop takes for runs that wait for people: `python -m benchmarks.sweep`.

The runs wait for an approval. A stop for all is ordered, and its sweep accounts for every run; `--freeze` keeps them.
"""

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from backstay.adapters.engine.dev_server import dev_server
from backstay.client import control_plane
from backstay.client.incidents import progress
from backstay.contracts.control import StopOrder
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

AT_ONCE = 25
TOML = 'instructions = "Pay."\n[approval]\ngroups = { finance = ["ann"] }\nrequire = { pay = "finance" }\n'
TOOLS = '''
from backstay.tools import tool

@tool(effect="once")
def pay(amount: int) -> str:
    """Pays somebody."""
    return "paid"
'''


@dataclass(frozen=True, slots=True)
class Figures:
    """The seconds until the stop was in force and until each run was accounted for, and what they cost the server."""

    runs: int
    in_force: float
    accounted: float
    server_cpu: float
    counts: dict[str, int]

    def line(self) -> str:
        """Returns the figures for people."""
        return (
            f"{self.runs} runs: in force after {self.in_force:.2f} s, accounted for after {self.accounted:.1f} s, "
            f"{self.server_cpu:.1f} s of the server's processor: {self.counts}"
        )


async def measure(client: Client, server: int, folder: Path, runs: int, *, freeze: bool) -> Figures:
    """Parks runs on a worker in this process, stops them all, and waits until each is accounted for."""
    desk = folder / "desk"
    desk.mkdir()
    (desk / "agent.toml").write_text(TOML)
    (desk / "tools.py").write_text(TOOLS)
    script = {"": [Reply(calls=[Call("pay", {"amount": 1})]), Reply("done")]}
    async with local_runtime(script, agents=folder, client=client) as runtime:
        await _park(runtime, runs)
        cpu, began = _cpu(server), time.monotonic()
        order = StopOrder(incident_id="bench", scope="all", freeze=freeze, by="olga@example.com", reason="measured")
        await control_plane.stop(client, order)
        in_force = time.monotonic() - began
        while True:
            seen = await progress(client, "bench")
            if seen is not None and seen.done:
                return Figures(runs, in_force, time.monotonic() - began, _cpu(server) - cpu, seen.counts)
            await asyncio.sleep(0.1)


async def _park(runtime: LocalRuntime, runs: int) -> None:
    room = asyncio.Semaphore(AT_ONCE)

    async def park() -> None:
        async with room:
            handle = await runtime.start({"goal": "Pay.", "agent": "desk"})
            while True:
                if (await handle.query("status"))["pending_approvals"]:
                    return
                await asyncio.sleep(0.2)

    await asyncio.gather(*(park() for _ in range(runs)))


def _cpu(pid: int) -> float:
    """Returns the processor seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description="Measure a stop of parked runs.")
    parser.add_argument("--runs", type=int, default=1_000, help="how many runs wait (default: 1000)")
    parser.add_argument("--freeze", action="store_true", help="freeze them instead of ending them")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        async with dev_server() as server:
            found = await measure(server.client, server.pid, Path(folder), given.runs, freeze=given.freeze)
            print(found.line())


if __name__ == "__main__":
    asyncio.run(main())
