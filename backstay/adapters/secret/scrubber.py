"""Replaces known secrets in texts, logs and printed output with `[secret NAME]`.

It finds a value in capitals or small letters, in wide or composed signs, in any mixture of the escapes of JSON,
programs, style sheets, HTML, URLs and mail, also in several layers, broken into lines, quoted or commented, with
colours or invisible signs inside, in base64 or base32 (also inside a longer text, such as an HTTP `Authorization`, and
of JSON or UTF-16), in hexadecimal, and each longer line of a multi-line value. It does not find a secret that a tool
cuts in pieces or computes with.
"""

import base64
import contextlib
import json
import logging
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TextIO, cast

from .folding import small, views

SHORTEST = 6
_SHORTEST_LINE = 16
_KEPT = 20
_READINGS = 24
_OUTPUT = ("stdout", "stderr")
_LOG = logging.getLogger(__name__)
_PLAIN = frozenset(vars(logging.makeLogRecord({})))


@dataclass(frozen=True, slots=True)
class _Base:
    """A way to write bytes in signs of `bits` each."""

    encode: Callable[[bytes], bytes]
    bits: int

    def spellings(self, data: bytes) -> set[str]:
        """Returns data as written alone, and inside longer data: the signs that no neighbouring byte changes."""
        whole = self.encode(data).decode()
        found = {whole, whole.rstrip("=")}
        for before in range(self.bits if self.bits % 2 else self.bits // 2):
            written = self.encode(bytes(before) + data).decode()
            found.add(written[-(-before * 8 // self.bits) : (before + len(data)) * 8 // self.bits])
        return found


_BASES = (_Base(base64.b64encode, 6), _Base(base64.urlsafe_b64encode, 6), _Base(base64.b32encode, 5))


class Scrubber:
    """A remover of secrets from texts, safe to use from any thread.

    It still finds the last values of a secret after the secret has changed. It shows no value and cannot be pickled.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, frozenset[str]]] = {}
        self._needles: dict[str, str] = {}

    def learn(self, name: str, value: str) -> None:
        """Remembers a value, unless it has fewer than six characters: that would remove ordinary words from texts."""
        if value in self._known:
            return
        if len(value) < SHORTEST:
            _LOG.warning(
                "the secret `%s` has less than %d characters: texts may show it; use a longer one", name, SHORTEST
            )
            return
        needles = _needles(value)
        with self._lock:
            known = {**self._known, value: (name, needles)}
            of_that_name = [old for old, (owner, _) in known.items() if owner == name]
            for oldest in of_that_name[:-_KEPT]:
                del known[oldest]
            self._needles = {needle: owner for owner, needles in known.values() for needle in needles}
            self._known = known

    def text(self, text: str) -> str:
        """Returns the text with `[secret NAME]` in place of every secret; a text without one is returned as it is."""
        needles = self._needles
        if not needles:
            return text
        places: set[tuple[int, int, str]] = set()
        for view in views(text):
            read = small(view.text)
            for needle, name in needles.items():
                at = read.find(needle)
                while at >= 0:
                    start, end = view.origin(at, at + len(needle))
                    places.add((start, -end, name))
                    at = read.find(needle, at + len(needle))
        return _replaced(text, sorted(places)) if places else text

    def value(self, value: Any) -> Any:
        """Cleans the texts inside lists, tuples and mappings, and returns any other value as it is."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(key): self.value(item) for key, item in cast("Mapping[Any, Any]", value).items()}
        if type(value) in (list, tuple):
            return type(value)(self.value(item) for item in value)
        return value

    def __reduce__(self) -> NoReturn:
        raise TypeError("a scrubber holds secrets and is not pickled")


class ScrubbingFilter(logging.Filter):
    """A filter that removes secrets from log records; add it to handlers, which see the records of all loggers."""

    def __init__(self, scrubber: Scrubber) -> None:
        super().__init__()
        self._scrubber = scrubber

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every record pass, and changes those that hold a secret."""
        try:
            message = record.getMessage()
        except Exception:  # the handler would report a message it cannot format with all its arguments, uncleaned
            message, record.args = str(record.msg), ()
        clean = self._scrubber.text(message)
        if clean != message:
            record.msg, record.args = clean, ()
        if record.exc_info:
            trace = record.exc_text or logging.Formatter().formatException(record.exc_info)
            clean = self._scrubber.text(trace)
            if clean != trace:
                record.exc_text, record.exc_info = clean, None
        elif record.exc_text:
            record.exc_text = self._scrubber.text(record.exc_text)
        for name in vars(record).keys() - _PLAIN:
            try:
                setattr(record, name, self._scrubber.value(getattr(record, name)))
            except RecursionError:  # a value that cannot be searched must not be shown, and logging must never fail
                setattr(record, name, "(nested too deeply)")
        return True


@contextlib.contextmanager
def scrubbed_logs(scrubber: Scrubber) -> Generator[None]:
    """Removes secrets from the output of log handlers until the context ends, but not of handlers added later."""
    added = ScrubbingFilter(scrubber)
    handlers = _handlers()
    for handler in handlers:
        handler.addFilter(added)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(added)


class ScrubbedStream:
    """A text stream that removes secrets from each write, and otherwise acts as the wrapped stream."""

    def __init__(self, stream: TextIO, scrubber: Scrubber) -> None:
        self.inner = stream
        self.wanted = True
        self._scrubber = scrubber

    def write(self, text: str) -> int:
        """Writes the text without secrets.

        Returns:
            The length of the given text, because callers check that all of it was written.
        """
        self.inner.write(self._scrubber.text(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes every line without secrets."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@contextlib.contextmanager
def scrubbed_output(scrubber: Scrubber) -> Generator[None]:
    """Removes secrets from everything the process prints, tools included, until the context ends.

    Contexts may overlap and end in any order: each takes away its own streams and those below it that nobody wants
    any more, and leaves a stream that somebody else put in place meanwhile.
    """
    streams = {name: ScrubbedStream(getattr(sys, name), scrubber) for name in _OUTPUT if getattr(sys, name) is not None}
    for name, stream in streams.items():
        setattr(sys, name, stream)
    try:
        yield
    finally:
        for name, stream in streams.items():
            stream.wanted = False
            while isinstance(top := getattr(sys, name), ScrubbedStream) and not top.wanted:
                setattr(sys, name, top.inner)


def _handlers() -> list[logging.Handler]:
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    last = [logging.lastResort] if logging.lastResort else []
    return [
        *last,
        *(handler for logger in loggers if isinstance(logger, logging.Logger) for handler in logger.handlers),
    ]


def _replaced(text: str, places: Iterable[tuple[int, int, str]]) -> str:
    clean, done = "", 0
    for start, end, name in places:  # where two begin together, the longer comes first
        if start >= done:
            clean += f"{text[done:start]}[secret {name}]"
        done = max(done, -end)  # where two overlap, both are removed
    return clean + text[done:]


def _needles(value: str) -> frozenset[str]:
    """Returns what a secret is searched for as, in small letters: itself, in base64, in base32 and in hexadecimal."""
    lines = {line.strip() for line in value.splitlines() if not line.startswith("-----")}
    found: set[str] = set()
    for text in {value, *(line for line in lines if len(line) >= _SHORTEST_LINE)}:
        written = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        # Read as any text is, so that a secret that looks like an escape is compared with what it is read as.
        found |= {view.text for view in views(text, _READINGS)} | {_bytes(text).hex()}
        found |= {spelled for one in written for base in _BASES for spelled in base.spellings(_bytes(one))}
    return frozenset(small(text) for text in found if len(text) >= SHORTEST)


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a pair, as a hostile JSON text may hold
        return text.encode("utf-8", "surrogatepass")
