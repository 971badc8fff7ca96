"""A server that lists what a real one was seen to list, and does nothing."""

import json
import sys
from pathlib import Path


def main() -> None:
    kept = json.loads((Path(__file__).with_name("lists") / f"{sys.argv[1]}.json").read_text())
    for line in sys.stdin:
        message = json.loads(line)
        result = {
            "initialize": {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": sys.argv[1], "version": "1"},
            },
            "tools/list": {"tools": kept["tools"]},
        }.get(message.get("method", ""))
        if "id" in message:
            error = {"code": -32601, "message": "Method not found"}
            said = {"error": error} if result is None else {"result": result}
            sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], **said}) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
