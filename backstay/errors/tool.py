"""Holds the errors that tools raise."""

from backstay.contracts.asked import Asked

from .base import BackstayError


class ToolError(BackstayError):
    """Raised by a tool to refuse a call when nothing was done; the model reads its text.

    When the effect may have happened, raise `OutcomeUnknownError`.
    """

    code = "ToolError"


class AskedError(ToolError):
    """Raised by a tool when its server asks people something, and the call goes on with what they reply.

    When nobody can be asked, raise `ToolError`.

    Attributes:
        asked: the questions.
    """

    code = "Asked"

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        super().__init__("the server of the tool asks people before it goes on")


class SecretError(ToolError):
    """Raised when a tool asks for a secret that it did not declare or that the worker lacks.

    The text names the secret and the mend, never a value. For anything else a tool raises `ToolError`.
    """

    code = "SecretError"


class OutcomeUnknownError(BackstayError):
    """Raised by a tool when its effect may or may not have happened; nobody then repeats the call on a guess.

    When nothing happened for certain, raise `ToolError`; when the other side was lost, `CallLostError`. A `once` tool
    need not raise this for a timeout, a lost connection or a reply such as 502: left alone, those errors are read the
    same way.
    """

    code = "OutcomeUnknown"


class CallLostError(OutcomeUnknownError):
    """Raised by a tool when whoever performs its effect was lost after the call was sent and before it was answered.

    What may be repeated is, by the engine. When the call was certainly not sent, raise `UnreachedError`.
    """

    code = "ToolLost"


class SchemaDriftError(ToolError):
    """Raised when a tool is not the one that the run was admitted with any more, so that nothing was called.

    When this worker merely has another version of it deployed, raise `UnservedToolError`.
    """

    code = "SchemaDrift"
