"""Takes known secrets out of texts, logs and what is printed: whatever leads to the value becomes `[secret NAME]`.

It knows a value as it is, as JSON, Python (bytes too), HTML and URLs write it, in base64 (also within a longer text, as
in an HTTP `Authorization`, and of JSON), in hexadecimal, and each longer line of a value of several lines. A tool that
cuts a secret in pieces or computes with it is not found out, nor what is written twice over, as a URL within a URL.
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
    """Knows secrets and the text without them; values that were learned stay known when the secret changes.

    It can be asked from any thread. Neither its representation nor a pickle holds a value.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def learn(self, name: str, value: str) -> None:
        """Remembers a value; one shorter than six characters would take ordinary words out of texts, and is not."""
        if value in self._values:
            return
        if len(value) < SHORTEST:
            _LOG.warning("the secret `%s` has less than %d characters: texts are not freed of it", name, SHORTEST)
            return
        with self._lock:
            values = {**self._values, value: name}
            of_that_name = [known for known, owner in values.items() if owner == name]
            for oldest in of_that_name[:-_KEPT]:
                del values[oldest]
            self._names = {spelled: owner for known, owner in values.items() for spelled in _spellings(known)}
            self._values = values

    def text(self, text: str) -> str:
        """The text with `[secret NAME]` in the place of every secret."""
        places = [
            (found.start(), -found.end(), name)
            for spelled, name in self._names.items()
            if spelled in text
            for found in re.finditer(re.escape(spelled), text)
        ]
        if not places:
            return text
        clean, done = "", 0
        for start, end, name in sorted(places):  # of those that begin together, the longest first
            if start >= done:
                clean += f"{text[done:start]}[secret {name}]"
            done = max(done, -end)  # where two overlap, both are gone
        return clean + text[done:]

    def value(self, value: Any) -> Any:
        """The same for texts inside of lists, tuples and mappings; anything else is returned as it is."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(key): self.value(item) for key, item in cast("Mapping[Any, Any]", value).items()}
        if type(value) in (list, tuple):
            return type(value)(self.value(item) for item in value)
        return value

    def __reduce__(self) -> NoReturn:
        raise TypeError("a scrubber knows secrets: it is not pickled")


class ScrubbingFilter(logging.Filter):
    """Frees log records of secrets; it belongs on handlers, where the records of all loggers pass."""

    def __init__(self, scrubber: Scrubber) -> None:
        super().__init__()
        self._scrubber = scrubber

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every record pass, changed where it holds a secret and only there."""
        try:
            said = record.getMessage()
        except Exception:  # the handler would report such a message together with its arguments, as they are
            said, record.args = str(record.msg), ()
        clean = self._scrubber.text(said)
        if clean != said:
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
            except RecursionError:  # what cannot be looked through is not shown, and logging fails nobody
                setattr(record, name, "(nested too deeply)")
        return True


@contextlib.contextmanager
def scrubbed_logs(scrubber: Scrubber) -> Generator[None]:
    """Frees what the handlers that are there now write of secrets, until the context ends."""
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
    """A text stream that frees what is written of secrets, write by write; all else is the stream's own."""

    def __init__(self, stream: TextIO, scrubber: Scrubber) -> None:
        self.inner = stream
        self.wanted = True
        self._scrubber = scrubber

    def write(self, text: str) -> int:
        """Writes the text without secrets, and says that it wrote the whole."""
        self.inner.write(self._scrubber.text(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes every text."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@contextlib.contextmanager
def scrubbed_output(scrubber: Scrubber) -> Generator[None]:
    """Frees what the process prints of secrets until the context ends.

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
    """The text in base64, and the characters of it that do not depend on what stands before and after the text."""
    data = _bytes(text)
    found = {base64.encodebytes(data).decode().strip()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(data).decode()
        found |= {whole, whole.rstrip("=")}
        for before in range(3):
            written = encode(bytes(before) + data).decode()
            # Six bits a character: those that hold a bit of a neighbour are left out.
            first, last = (0, 2, 3)[before], (before + len(data)) * 8 // 6
            found.add(written[first:last])
    return found


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
