"""A tool that fetches links fetches nothing of this machine, of its network link or of Temporal."""

from collections.abc import Callable
from pathlib import Path

from temporalio.client import Client

from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime

TOOLS = '''
from pathlib import Path
from backstay.tools import tool

@tool(effect="read")
def fetch(url: str) -> str:
    """Fetches a page."""
    with Path(__file__).with_name("fetched.txt").open("a") as file:
        file.write(url + "\\n")
    return "a page"
'''
LINKS = [
    "http://127.1:8233/",
    "http://169.254.169.254/",
    "localhost:7243",
    "http:/127.0.0.1",
    "http://127。0。0。1/",
    "https://good.example/",
]


async def test_the_shipped_rule_denies_links_that_lead_here(client: Client, agent_folder: Callable[..., Path]) -> None:
    agents = agent_folder("desk", "[stop]\ndenials = 9\n", TOOLS)
    engine = f"http://{client.service_client.config.target_host}/api/v1/namespaces"
    script = [Reply(calls=[Call("fetch", {"url": url}) for url in (engine, *LINKS)]), Reply("done")]
    async with local_runtime(script, agents=agents, client=client) as runtime:
        handle = await runtime.start({"goal": "go", "agent": "desk"})
        await handle.result()
        records = (await handle.query("audit"))["items"]
        verdicts = [record["facts"]["verdict"] for record in records if record["event"] == "call_judged"]
        assert [verdict["rules"] for verdict in verdicts] == [["org-local-addresses"]] * 6 + [["listed-tools"]]
        assert (agents / "desk" / "fetched.txt").read_text() == "https://good.example/\n"
