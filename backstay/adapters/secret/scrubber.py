"""Replaces known secrets in texts, logs and printed output with `[secret NAME]`.

It finds a value in plain form, as JSON, Python (also bytes), HTML and URLs write it, in base64 (also inside a longer
text, such as an HTTP `Authorization`, and of JSON), in hexadecimal, and each longer line of a multi-line value. It
does not find a secret that a tool cuts in pieces or computes with, nor one encoded twice, such as a URL within a URL.
"""

import base64
import contextlib
import html
import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, NoReturn, TextIO, cast
from urllib.parse import quote, quote_plus

SHORTEST = 6
_SHORTEST_LINE = 16
_KEPT = 20
_OUTPUT = ("stdout", "stderr")
_LOG = logging.getLogger(__name__)
_PLAIN = frozenset(vars(logging.makeLogRecord({})))


class Scrubber:
    """A remover of secrets from texts, safe to use from any thread.

    It still finds the last values of a secret after the secret has changed. It shows no value and cannot be pickled.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def learn(self, name: str, value: str) -> None:
        """Remembers a value, unless it has fewer than six characters: that would remove ordinary words from texts."""
        if value in self._values:
            return
        if len(value) < SHORTEST:
            _LOG.warning(
                "the secret `%s` has less than %d characters: texts may show it; use a longer one", name, SHORTEST
            )
            return
        with self._lock:
            values = {**self._values, value: name}
            of_that_name = [known for known, owner in values.items() if owner == name]
            for oldest in of_that_name[:-_KEPT]:
                del values[oldest]
            self._names = {spelled: owner for known, owner in values.items() for spelled in _spellings(known)}
            self._values = values

    def text(self, text: str) -> str:
        """Returns the text with `[secret NAME]` in place of every secret."""
        places = [
            (found.start(), -found.end(), name)
            for spelled, name in self._names.items()
            if spelled in text
            for found in re.finditer(re.escape(spelled), text)
        ]
        if not places:
            return text
        clean, done = "", 0
        for start, end, name in sorted(places):  # where two begin together, the longer comes first
            if start >= done:
                clean += f"{text[done:start]}[secret {name}]"
            done = max(done, -end)  # where two overlap, both are removed
        return clean + text[done:]

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


def _spellings(value: str) -> set[str]:
    """Returns every form of a secret that is searched for."""
    lines = {line.strip() for line in value.splitlines() if not line.startswith("-----")}
    found: set[str] = set()
    for text in {value, *(line for line in lines if len(line) >= _SHORTEST_LINE)}:
        found |= {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]}
        encoded = {spelled for written in list(found) for spelled in _in_base64(written)}
        found |= {json.dumps(spelled)[1:-1] for spelled in list(found)}  # JSON as a text within JSON
        found |= encoded | _in_urls(text) | {html.escape(text), html.escape(text, quote=False)}
        found |= {repr(_bytes(text))[2:-1], _bytes(text).hex(), _bytes(text).hex().upper()}
    return {text for text in found if len(text) >= SHORTEST}


def _in_urls(text: str) -> set[str]:
    writers: tuple[Callable[[str], str], ...] = (
        lambda given: quote(given, safe="", errors="replace"),
        lambda given: quote(given, errors="replace"),
        lambda given: quote(given, safe="!$&'()*+,;=:@/?", errors="replace"),
        lambda given: quote_plus(given, errors="replace"),
    )
    written = {write(text) for write in writers}
    return written | {re.sub("%..", lambda match: match[0].lower(), given) for given in written}


def _in_base64(text: str) -> set[str]:
    """Returns the text in base64, alone and inside a longer text: the characters that no neighbouring byte changes."""
    data = _bytes(text)
    found = {base64.encodebytes(data).decode().strip()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(data).decode()
        found |= {whole, whole.rstrip("=")}
        for before in range(3):
            written = encode(bytes(before) + data).decode()
            # A character holds six bits; characters that share bits with a neighbouring byte are left out.
            first, last = (0, 2, 3)[before], (before + len(data)) * 8 // 6
            found.add(written[first:last])
    return found


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
