"""Reads the paths that a model writes: names below a workspace, one after the other, and nothing else."""

import os
import unicodedata
from typing import Final

from .refusal import Reason, refusal

MOST_BYTES: Final = 4_000
MOST_PARTS: Final = 32
LONGEST_NAME: Final = 255
UNFINISHED: Final = (".backstay-", ".part")
"""The beginning and the end of the name that a file has while it is written."""


def parts_of(path: str) -> list[str]:
    """Returns the names that lead from the workspace to a file or folder; none for the workspace itself.

    Raises:
        ToolError: `path_refused`: the path is absolute, leads upwards, or has a name that no file can have.
    """
    if not path:
        raise refusal(Reason.PATH_REFUSED, "an empty path; the workspace itself is `.`")
    if path.startswith("/"):
        raise refusal(Reason.PATH_REFUSED, "an absolute path; write it from the workspace, as `notes/today.md`")
    if any(unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") for sign in path):
        raise refusal(Reason.PATH_REFUSED, "the path has a control character, or one that nobody sees")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise refusal(Reason.PATH_REFUSED, "`..` may not stand in a path")
    if len(os.fsencode(path)) > MOST_BYTES or len(parts) > MOST_PARTS:
        raise refusal(Reason.PATH_REFUSED, f"a path has at most {MOST_BYTES} bytes and {MOST_PARTS} names")
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in parts):
        raise refusal(Reason.PATH_REFUSED, f"a name has at most {LONGEST_NAME} bytes")
    if any(is_unfinished(part) for part in parts):
        raise refusal(Reason.PATH_REFUSED, "the name is kept for files that are being written")
    return parts


def is_unfinished(name: str) -> bool:
    """Tells whether a name is that of a file which is being written."""
    return name.startswith(UNFINISHED[0]) and name.endswith(UNFINISHED[1])
