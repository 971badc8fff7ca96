"""Offers what the author of a tool needs: `tool`, `ToolCall`, two errors, and the answers of a `reconcile` function."""

from backstay.errors import OutcomeUnknownError, SecretError, ToolError

from .call import NOT_HAPPENED, UNKNOWN, Happened, ToolCall, Unsettled
from .declare import tool

__all__ = [
    "NOT_HAPPENED",
    "UNKNOWN",
    "Happened",
    "OutcomeUnknownError",
    "SecretError",
    "ToolCall",
    "ToolError",
    "Unsettled",
    "tool",
]
