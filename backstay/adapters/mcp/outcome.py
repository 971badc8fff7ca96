"""Tells what became of a call over MCP: answered, never sent, or nobody knows."""

from mcp.shared.exceptions import MCPError

from backstay.errors import BackstayError, CallLostError, ToolError, UnreachedError

from .sent import Sent

_OK = range(200, 300)
_REFUSED = range(300, 500)
_REFUSED_US = (401, 403)
_GONE = 404
_TOO_MANY = 429
_MAY_HAVE_HAPPENED = (408,)


class NotSentError(Exception):
    """Raised inside where a call was certainly not sent over a connection, and another connection may do."""


class BadResultError(Exception):
    """Raised inside where a call was answered, and nobody can read the answer."""


def outcome_of(name: str, error: BaseException, sent: Sent) -> BackstayError | NotSentError | BadResultError:
    """Returns what became of a call that ended with an error.

    What was answered is settled, what was never sent may be sent again, and all else is unknown.

    Args:
        name: of the server.
        error: what the SDK says.
        sent: what was noted of the request.
    """
    if isinstance(error, BackstayError):
        return error
    if sent.answered:
        if isinstance(error, MCPError):
            return ToolError(f"the server answered with error {error.error.code}: {error.error.message}")
        return BadResultError()
    if sent.status is not None and sent.status not in _OK:
        return _by_status(name, sent, sent.status)
    if not sent.written:
        return NotSentError()
    return CallLostError(f"the server `{name}` was lost in the call, and its answer with it")


def _by_status(name: str, sent: Sent, status: int) -> BackstayError | NotSentError:
    if status == _GONE and sent.in_session:
        return NotSentError()  # the server knows the session no more, so it has looked at nothing else
    if status == _TOO_MANY:
        return UnreachedError(f"`{name}` answers with {status}: too many requests", sent.retry_after)
    if status in _REFUSED_US:
        return ToolError(f"the server `{name}` refuses us with {status}: its `headers` are not in order")
    if status in _REFUSED and status not in _MAY_HAVE_HAPPENED:
        return ToolError(f"the server `{name}` answers with {status}, and has executed nothing")
    return CallLostError(f"the server `{name}`, or a proxy before it, answers with {status}")
