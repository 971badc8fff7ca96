"""What stands in the audit of the MCP servers of a run."""

from backstay.kernel.mcp_events import ServerChanged
from backstay.kernel.run_state import RunState


def test_another_server_stands_in_the_audit_and_changes_nothing() -> None:
    changed = ServerChanged("1-0", "mcp:files/read", "files 1.0", "files 1.1")
    assert changed.facts() == {"call_id": "1-0", "tool": "mcp:files/read", "was": "files 1.0", "now": "files 1.1"}
    assert RunState().after(changed) == RunState()
