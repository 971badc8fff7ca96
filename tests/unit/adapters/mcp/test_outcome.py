"""What was answered is settled, what was never sent may be sent again, all else is unknown."""

from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from backstay.adapters.mcp.outcome import BadResultError, NotSentError, outcome_of
from backstay.adapters.mcp.sent import Sent
from backstay.errors import CallLostError, SecretError, ToolError, UnreachedError

CLOSED = MCPError(code=-32000, message="Connection closed")


@pytest.mark.parametrize(
    ("error", "notes", "became"),
    [
        (CLOSED, {}, NotSentError),
        (CLOSED, {"written": True}, CallLostError),
        (CLOSED, {"written": True, "answered": True}, ToolError),
        (ValueError("no such part"), {"written": True, "answered": True}, BadResultError),
        (ValueError("no such part"), {"written": True}, CallLostError),
        (CLOSED, {"written": True, "status": 200}, CallLostError),
        (CLOSED, {"written": True, "status": 404, "in_session": True}, NotSentError),
        (CLOSED, {"written": True, "status": 404}, ToolError),
        (CLOSED, {"written": True, "status": 401}, ToolError),
        (CLOSED, {"written": True, "status": 403}, ToolError),
        (CLOSED, {"written": True, "status": 400}, ToolError),
        (CLOSED, {"written": True, "status": 307}, ToolError),
        (CLOSED, {"written": True, "status": 429}, UnreachedError),
        (CLOSED, {"written": True, "status": 408}, CallLostError),
        (CLOSED, {"written": True, "status": 500}, CallLostError),
        (CLOSED, {"written": True, "status": 502}, CallLostError),
        (CLOSED, {"written": True, "status": 503, "retry_after": 1.0}, CallLostError),
        (SecretError("no secret"), {}, SecretError),
    ],
)
def test_every_end_says_what_it_means(error: Exception, notes: dict[str, Any], became: type[Exception]) -> None:
    assert type(outcome_of("files", error, Sent(**notes))) is became


def test_a_server_that_asks_to_wait_is_heard() -> None:
    found = outcome_of("files", CLOSED, Sent(written=True, status=429, retry_after=7.0))
    assert isinstance(found, UnreachedError)
    assert found.retry_after == 7.0


def test_a_refusal_names_the_status() -> None:
    assert "401" in str(outcome_of("files", CLOSED, Sent(written=True, status=401)))
