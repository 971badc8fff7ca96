"""Ready-made tools in runs: judged by rules on their facts, and refused with a code."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle

from backstay.testing import Call, Reply
from backstay.testing.runtime import local_runtime

TOML = """
tools = ["std:write_file", "std:read_file", "std:list_files", "std:sql_query"]
[std.files]
root = "ROOT/files"
[std.sql_query]
url = "sqlite:///ROOT/shop.db"
trusted = true
"""
RULES = """
@id("reports") @reason("notes go into reports/")
forbid(principal, action == Action::"write_file", resource) unless { context.facts.folders.contains("reports") };
@id("staff")
forbid(principal, action == Action::"sql_query", resource) when { context.facts.tables.contains("staff") };
"""


async def results(handle: WorkflowHandle[Any, Any]) -> list[tuple[str, str]]:
    items = (await handle.query("transcript"))["items"]
    return [(item["status"], item["text"]) for item in items if item["kind"] == "result"]


async def test_an_agent_keeps_notes_and_asks_a_database_within_its_rules(
    client: Client, agent_folder: Callable[..., Path], tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("create table orders (id integer)")
        connection.execute("insert into orders values (7)")
        connection.commit()
    agents = agent_folder("clerk", TOML.replace("ROOT", str(tmp_path)))
    (agents / "clerk" / "policy.cedar").write_text(RULES)
    script = [
        Reply(
            calls=[
                Call("sql_query", {"sql": "select id from orders"}),
                Call("sql_query", {"sql": "select * from staff"}),
            ]
        ),
        Reply(calls=[Call("write_file", {"path": "reports/a.md", "text": "7 orders"})]),
        Reply(calls=[Call("write_file", {"path": "a.md", "text": "x"}), Call("read_file", {"path": "../../shop.db"})]),
        Reply(calls=[Call("list_files"), Call("read_file", {"path": "reports/a.md"})]),
        Reply("done"),
    ]
    async with local_runtime(script, agents=agents, client=client) as runtime:
        handle = await runtime.start({"goal": "count", "agent": "clerk", "tenant": "acme"}, f"notes {tmp_path.name}")
        result = await asyncio.wait_for(handle.result(), 60)
        assert (result["status"], result["answer"]) == ("completed", "done")
        found = await results(handle)
        assert [status for status, _ in found] == [
            *("completed", "denied", "completed", "denied", "failed", "completed", "completed")
        ]
        texts = [text for _, text in found]
        assert texts[0] == '{"rows":[{"id":7}],"cut":false}'
        assert "denied by staff" in texts[1]
        assert "notes go into reports/" in texts[3]
        assert texts[4].startswith("failed: path_refused: ")
        assert '"path":"reports/a.md","kind":"file","bytes":8' in texts[5]
        assert texts[6] == "7 orders"
    [kept] = (tmp_path / "files" / "acme").glob("*/reports/a.md")
    assert kept.read_text() == "7 orders"
