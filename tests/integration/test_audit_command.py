"""`backstay audit`: a person shows, exports and keeps evidence of a run; none of it holds a secret."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from temporalio.client import Client

from backstay.adapters.archive.keys import fault_of
from backstay.adapters.archive.place import Folder
from backstay.adapters.archive.store import Sealing, Store
from backstay.contracts.archive import ArchiveInput, Segment
from backstay.contracts.history import RunRef
from backstay.kernel.audit import AuditHead
from backstay.kernel.audit_file import Flaw, read
from backstay.kernel.receipt import read_receipt
from backstay.testing import Call, Reply
from backstay.testing.runtime import LocalRuntime, local_runtime

from .commands import command_of

CANARY = 'canary/"4f1c+9'
KEY = "2026a:" + base64.b64encode(os.urandom(32)).decode()
TOOLS = '''
from backstay.tools import ToolCall, tool

@tool(effect="write", secrets=["SHOP_TOKEN"])
def issue_refund(call: ToolCall, order: str, amount: int) -> str:
    """Refunds."""
    return f"refunded {amount} with {call.secret('SHOP_TOKEN')}"
'''
TOML = '[approval]\nrequire = { issue_refund = "finance" }\ngroups = { finance = ["alice@example.com"] }\n'
SCRIPT = [Reply(calls=[Call("issue_refund", {"order": "A17", "amount": 120})]), Reply("refunded")]


async def refunded(runtime: LocalRuntime, run_id: str) -> str:
    """Runs a refund that a person approves; returns the head of its audit."""
    handle = await runtime.start({"goal": "refund A17", "agent": "clerk", "requested_by": "rita@example.com"}, run_id)
    async with asyncio.timeout(60):
        while not (pending := (await handle.query("status"))["pending_approvals"]):
            await asyncio.sleep(0.05)
        vote = {"approval_id": pending[0]["approval_id"], "by": "alice@example.com", "comment": "fine"}
        await handle.execute_update("approve", vote)
        return (await handle.result())["audit"]["head"]


async def forgotten(archive: Path, run_id: str) -> str:
    """Keeps the evidence of a run under an id that Temporal does not know."""
    store, name = Store(Folder(archive), Sealing(None, "default")), f"forgotten-{run_id}"
    [manifest], _ = await store.manifests(run_id)
    head = AuditHead(manifest.head.records, manifest.head.head)
    given = ArchiveInput(start=AuditHead(), head=head, items_start=0, items=0, last=True)
    records = await store.lines(manifest, "records")
    await store.keep(Segment(RunRef(name, "e-1"), "clerk", "default", manifest.at, given, records, []))
    return name


async def test_a_person_reads_exports_and_hands_out_the_evidence_of_a_run_that_temporal_forgets(
    client: Client, agent_folder: Callable[..., Path], tmp_path: Path
) -> None:
    secrets, archive = tmp_path / "secrets", tmp_path / "archive"
    secrets.mkdir()
    (secrets / "SHOP_TOKEN").write_text(CANARY)
    settings: dict[str, Any] = {"archive": str(archive), "audit_key": KEY, "secrets": secrets}
    run_id = f"refund-{tmp_path.name}"
    async with local_runtime(SCRIPT, agents=agent_folder("clerk", TOML, TOOLS), client=client, **settings) as runtime:
        command = command_of(runtime, BACKSTAY_AUDIT_KEY=KEY, BACKSTAY_ARCHIVE=str(archive), COLUMNS="200")
        head = await refunded(runtime, run_id)
        (shown, table, _), (written, export, _), (none, _, _) = await asyncio.gather(
            command("audit", run_id), command("audit", "export", run_id), command("audit", "no-such-run")
        )
        gone = await forgotten(archive, run_id)
        (told, facts, _), (handed, receipts, _) = await asyncio.gather(
            command("audit", gone, "-o", "json"), command("audit", "receipts", run_id)
        )
    assert [shown, written, none, told, handed] == [0, 0, 4, 0, 0]
    for words in ("rita@example.com", "alice@example.com", "issue_refund: completed", "closed: completed"):
        assert words in table

    sections = read(export.encode())
    assert not isinstance(sections, Flaw)
    assert (sections[0].trail.head.head, fault_of(sections[0].claim)) == (head, None)
    first, *_, last = (json.loads(line) for line in export.splitlines())
    assert (first["schema"], first["run_id"], set(last)) == (
        "backstay.audit/1",
        run_id,
        {"head", "records", "signature"},
    )
    assert list(json.loads(facts)) == ["run_id", "head", "records"]
    assert json.loads(facts)["head"] == head

    [line] = receipts.splitlines()
    receipt = read_receipt(line.encode())
    assert receipt is not None
    assert (receipt[0]["approved_by"], receipt[0]["requested_by"]) == (["alice@example.com"], "rita@example.com")
    assert fault_of(receipt[1]) is None

    lying = b"".join(file.read_bytes() for file in archive.rglob("*") if file.is_file()).decode()
    assert "refunded 120" in lying
    for part in ("canary", "4f1c", KEY.partition(":")[2]):
        assert part not in lying + export + receipts + table


async def test_a_person_keeps_a_run_that_the_archive_missed(
    client: Client, agent_folder: Callable[..., Path], tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    async with local_runtime(SCRIPT, agents=agent_folder("clerk", TOML, TOOLS), client=client) as runtime:
        run_id = f"missed-{tmp_path.name}"
        handle = await runtime.start({"goal": "refund", "agent": "clerk"}, run_id)
        await handle.execute_update("kill", {"by": "olga", "reason": "enough"})
        await handle.result()
        command = command_of(runtime, BACKSTAY_ARCHIVE=str(archive))
        (code, out, err), (unset, _, said), (nothing, _, _) = await asyncio.gather(
            command("audit", "keep", run_id, "-o", "json"),
            command_of(runtime)("audit", "receipts", run_id),
            command("audit", "keep"),
        )
    assert (code, [one["run_id"] for one in json.loads(out)]) == (0, [run_id]), err
    assert list(archive.rglob("*.manifest.json"))
    assert (unset, "BACKSTAY_AUDIT_KEY" in said, nothing) == (2, True, 2)
