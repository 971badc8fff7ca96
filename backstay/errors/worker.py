"""Holds the errors of a worker that does nothing for now, lacks an agent or a key, or cannot deliver something."""

from .base import BackstayError


class NothingDoneError(BackstayError):
    """Raised by an activity that did nothing, and may do it later, or on another worker.

    Not raised itself: raise one of its subclasses, `HeldError`, `UnservedError` or `UnreachedError`.
    """

    code = "NothingDone"


class HeldError(NothingDoneError):
    """Raised by an activity that did nothing, because of a stop, or because nobody knows that there is none.

    Where it did nothing because of its worker, raise `UnservedError`.
    """

    code = "Held"


class UnservedError(NothingDoneError):
    """Raised by an activity that did nothing, because its worker does not serve the run's agent; another one may.

    When the agent is served and one of its tools is not the admitted one, raise `UnservedToolError`; for a start that
    names an agent nobody here serves `InvalidInputError`.
    """

    code = "Unserved"

    def __init__(self, agent: str) -> None:
        super().__init__(f"this worker does not serve the agent `{agent}`; start one that does")


class UnservedToolError(UnservedError):
    """Raised by an activity that did nothing, because its worker has another version of an admitted tool, or none.

    When the whole agent is missing, raise `UnservedError`.
    """

    code = "UnservedTool"

    def __init__(self, agent: str, tool: str) -> None:
        text = f"this worker does not serve the tool `{tool}` of the agent `{agent}` as the run was admitted with it"
        NothingDoneError.__init__(self, text)


class UnreachedError(NothingDoneError):
    """Raised by a tool when a call was certainly not sent, because the server of the tool cannot be reached.

    Whatever the effect of the tool, the call is tried again for a while. When it was sent, raise `CallLostError`; when
    the server refused it, `ToolError`.

    Attributes:
        retry_after: seconds that the server asked to wait, or None.
    """

    code = "McpUnreachable"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(f"mcp_unreachable: {message}")


class NoticeError(BackstayError):
    """Raised when the receiver of notices does not take one; the text holds no part of its address.

    For an address that is missing or malformed raise `ConfigurationError` when the worker starts.
    """

    code = "NoticeError"


class ArchiveError(BackstayError):
    """Raised when the archive of evidence does not take a file, or does not have it; worth a retry.

    For an address that names no archive raise `ConfigurationError`.
    """

    code = "ArchiveError"


class CodecError(BackstayError):
    """Raised when a payload cannot be decrypted with the keys at hand; the text names the id of the missing key.

    For a key that is itself malformed raise `ConfigurationError`.
    """

    code = "CodecError"
