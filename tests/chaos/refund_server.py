"""An MCP server that refunds, keeps its own books, and dies or kills its worker at the point that a call names.

It dies once for each run: a mark beside the books says that it has.
"""

import json
import os
import random
import signal
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

BOOKS = Path(os.environ["BOOKS"])
SCHEMA = {
    "type": "object",
    "properties": {"amount": {"type": "integer"}, "point": {"type": "string"}},
    "required": ["amount", "point"],
}
TOOL = {"name": "refund", "description": "Refunds an amount.", "inputSchema": SCHEMA}


def write(number: Any, **said: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": number, **said}) + "\n")
    sys.stdout.flush()


def die(point: str, wanted: str, run: str) -> None:
    """Kills this server, or the worker that started it, once for each run."""
    victim, _, at = wanted.partition("-")
    mark = BOOKS.with_name(f"died-{run}")
    if at != point or mark.exists():
        return
    mark.write_text(wanted)
    pid = os.getpid() if victim == "server" else os.getppid()
    if point == "soon":
        threading.Timer(random.random() / 20, os.kill, (pid, signal.SIGKILL)).start()
    else:
        os.kill(pid, signal.SIGKILL)
        signal.pause()


def refund(params: dict[str, Any]) -> str:
    given, run = params["arguments"], params["_meta"]["backstay/run"]
    die("soon", given["point"], run)
    die("before", given["point"], run)
    db = sqlite3.connect(BOOKS, timeout=30, isolation_level=None)
    db.execute("CREATE TABLE IF NOT EXISTS refunds (run TEXT, key TEXT, amount INTEGER)")
    row = (run, params["_meta"]["backstay/idempotency-key"], given["amount"])
    db.execute("INSERT INTO refunds VALUES (?, ?, ?)", row)
    db.close()
    die("after", given["point"], run)
    return f"refunded {given['amount']}"


def heard(message: dict[str, Any]) -> None:
    method, number = message.get("method"), message.get("id")
    params = message.get("params") or {}
    if method == "initialize":
        about = {"name": "refunds", "version": "1"}
        version = params["protocolVersion"]
        write(number, result={"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about})
    elif method == "tools/list":
        write(number, result={"tools": [TOOL]})
    elif method == "tools/call":
        write(number, result={"content": [{"type": "text", "text": refund(params)}]})
    elif number is not None:
        write(number, error={"code": -32601, "message": "Method not found"})


if __name__ == "__main__":
    for line in sys.stdin:
        heard(json.loads(line))
