"""`backstay approve --grant` and `backstay grants`: fewer questions to people, and what is left of each grant."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

import pytest
from temporalio.client import Client

from backstay.cli import execute
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

from .commands import Command, command_of

TOOLS = '''
from backstay.tools import tool

@tool(effect="write", exposure={"points": lambda amount: amount})
def pay(amount: int) -> str:
    """Pays."""
    return f"paid {amount}"
'''
TOML = '[approval]\ngroups = { finance = ["alice@example.com"] }\n'
RULES = """
@id("payments") @approval("finance") @grantable("uses:5,hours:2")
forbid(principal, action == Action::"pay", resource);
"""


@pytest.fixture
async def runtime(client: Client, agent_folder: Callable[..., Path]) -> AsyncGenerator[LocalRuntime]:
    agents = agent_folder("clerk", TOML, TOOLS)
    (agents / "clerk" / "policy.cedar").write_text(RULES)
    async with local_runtime(
        [Reply(calls=[Call("pay", {"amount": 7})]), Reply("paid")], agents=agents, client=client
    ) as one:
        yield one


@pytest.fixture
def command(runtime: LocalRuntime) -> Command:
    return command_of(runtime, BACKSTAY_USER="alice@example.com", COLUMNS="220")


async def test_a_person_grants_looks_and_revokes(runtime: LocalRuntime, command: Command, tmp_path: Path) -> None:
    tenant = f"acme {tmp_path.name}"
    ids = [f"{tmp_path.name}-{number}" for number in range(3)]
    request = {"goal": "pay", "agent": "clerk", "tenant": tenant}

    async def asks(run_id: str) -> None:
        handle = await runtime.start(request, run_id)
        async with asyncio.timeout(30):
            while not (await handle.query("status"))["pending_approvals"]:
                await asyncio.sleep(0.05)

    await asks(ids[0])
    code, _, err = await command("approve", ids[0], "--grant", "uses=6")
    assert (code, "6 uses are too many: the rules that ask allow 5 uses and 2 hours" in err) == (1, True)
    assert "may be granted" in err
    grant = ("--grant", "uses=2,until=1h", "--grant", "exposure.points=14")
    code, out, _ = await command("approve", ids[0], *grant, "-o", "json")
    given = json.loads(out)["grant"]
    assert (code, given["uses"], given["exposure"], given["by"]) == (0, 2, {"points": "14"}, "alice@example.com")

    await runtime.run_to_end(request, ids[1])
    code, out, _ = await command("grants", "list", "--tenant", tenant, "-o", "json")
    [listed] = json.loads(out)
    assert (code, listed["id"], listed["uses_left"], listed["exposure_left"]) == (0, given["id"], 1, {"points": "7"})
    assert (listed["rules"], listed["state"], listed["tenant"]) == (["payments"], "live", tenant)
    code, out, _ = await command("grants", "list", "--tenant", tenant)
    assert (code, given["id"] in out, "1 of 2" in out, "points 7 of 14" in out) == (0, True, True, True)
    words = f"let through by grant {given['id']} of alice@example.com, 1 of 2 used"
    assert words in (await command("show", ids[1]))[1]

    revoke = ("grants", "revoke", given["id"], "--reason", "enough", "--tenant", tenant)
    code, _, err = await command(*revoke)
    assert (code, f"{given['id']}: revoked by alice@example.com; the next call of pay asks again" in err) == (0, True)
    await asks(ids[2])
    code, _, err = await command("approve", ids[2], "--grant", '{"uses": 1}')
    assert (code, "approved: the call goes ahead; 1 more go through until" in err) == (0, True)
    code, out, err = await command("grants", "list", "--tenant", tenant, "--agent", "nobody")
    assert (code, out, "no standing grants of these" in err) == (0, "", True)
    code, out, _ = await command("grants", "revoke", "grt_none", "--reason", "enough", "--tenant", tenant, "-o", "json")
    assert (code, json.loads(out)["error"]["code"]) == (4, "GrantNotFound")


@pytest.mark.parametrize(
    "words",
    [
        ("approve", "r", "--grant", "uses=many"),
        ("approve", "r", "--grant", "twenty"),
        ("approve", "r", "--grant", "{uses}"),
        ("grants", "revoke", "grt_1"),
        ("grants", "revoke", "grt_1", "--reason", " "),
    ],
)
def test_what_cannot_be_read_is_refused(words: Sequence[str]) -> None:
    assert execute(words) == 2
