"""Holds the class that all errors of Backstay share."""

from typing import ClassVar


class BackstayError(Exception):
    """Groups all errors of Backstay: catch it, and raise one of its subclasses."""

    code: ClassVar[str] = "BackstayError"
