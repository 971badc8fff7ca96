"""Gives a command an output that takes any text and never fails: what cannot be written is remembered as lost."""

import codecs
import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_IN_ASCII = {"█": "#", "▒": "=", "░": ".", "✓": "+", "✗": "x", "■": "#", "→": "->", "·": "-", "…": "..."}
_ERRORS = "backstay.in_ascii"


def open_streams() -> None:
    """Puts such outputs in the place of stdout and stderr; one that is closed takes everything, and loses it."""
    codecs.register_error(_ERRORS, _in_ascii)
    sys.stdout = _stream(1, sys.stdout)
    sys.stderr = _stream(2, sys.stderr)


def lost() -> OSError | None:
    """Returns why a part of stdout could not be written; None where all of it was, or its reader had enough."""
    sink = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    failure = sink.failure if isinstance(sink, _Sink) else None
    return None if failure is not None and failure.errno == errno.EPIPE else failure


def holds_unicode(stream: TextIO) -> bool:
    """Tells whether a stream can hold any character."""
    try:
        return codecs.lookup(stream.encoding or "utf-8").name == "utf-8"
    except (AttributeError, LookupError):
        return True


class _Sink(io.RawIOBase):
    """The bytes of a stream; after its first failure it takes all further bytes without writing them."""

    def __init__(self, number: int, failure: OSError | None) -> None:
        self._number = number
        self.failure = failure

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return self.failure is None and os.isatty(self._number)

    def write(self, b: "ReadableBuffer", /) -> int:
        view = memoryview(b)
        while self.failure is None:
            try:
                return os.write(self._number, view)
            except BlockingIOError:
                select.select([], [self._number], [])
            except OSError as error:
                self.failure = error
        return view.nbytes


def _stream(number: int, present: TextIO | None) -> TextIO:
    closed = OSError(errno.EBADF, "it is closed") if present is None else None
    if closed is not None:
        _occupy(number)
    sink = _Sink(number, closed)
    encoding = present.encoding if present is not None else "utf-8"
    line_buffering = number == 2 or sink.isatty()
    return io.TextIOWrapper(io.BufferedWriter(sink), encoding, _ERRORS, line_buffering=line_buffering)


def _occupy(number: int) -> None:
    """Opens nothing under the number of a closed stream, so that no connection gets it and somebody's words."""
    try:
        os.fstat(number)
    except OSError:
        nothing = os.open(os.devnull, os.O_RDWR)
        if nothing != number:
            os.dup2(nothing, number)
            os.close(nothing)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Spells what an encoding lacks: our own signs by their likes in ASCII, all else by its number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    part = error.object[error.start : error.end]
    spelled = (_IN_ASCII.get(one) or one.encode("ascii", "backslashreplace").decode() for one in part)
    return "".join(spelled), error.end
