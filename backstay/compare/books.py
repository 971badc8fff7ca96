"""Keeps the shop's books: every call of a tool, written by the tool itself into one SQLite file.

The books count what happened, whatever a loop or a runtime says about itself. Any number of threads and processes may
write to one file.
"""

import json
import os
import signal
import sqlite3
from collections.abc import Collection, Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

_BUSY_SECONDS = 30.0
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS calls (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        run TEXT NOT NULL,
        tool TEXT NOT NULL,
        args TEXT NOT NULL,
        effect INTEGER NOT NULL,
        risky INTEGER NOT NULL,
        key TEXT UNIQUE
    ) STRICT""",
    "CREATE TABLE IF NOT EXISTS crashes (run TEXT NOT NULL, after INTEGER NOT NULL) STRICT",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """Holds one call that was carried out.

    Attributes:
        args: the arguments as canonical JSON.
        effect: it changed something outside.
        risky: an effect that the shop would never leave to a program alone.
    """

    run: str
    tool: str
    args: str
    effect: bool
    risky: bool


@dataclass(frozen=True, slots=True)
class Books:
    """Reads and writes the books in one file."""

    path: Path

    def write(self, run: str, tool: str, args: Mapping[str, object], *, risky: bool = False, key: str | None) -> bool:
        """Writes an effect into the books, at most once for a key; returns False where the key is known already."""
        added = self._add(Entry(run, tool, json.dumps(args, sort_keys=True), effect=True, risky=risky), key)
        if added and self._crash_is_due(run):
            os.kill(os.getpid(), signal.SIGKILL)  # the effect has happened, and nobody has been told
        return added

    def note(self, run: str, tool: str, args: Mapping[str, object]) -> None:
        """Writes down that something was read."""
        self._add(Entry(run, tool, json.dumps(args, sort_keys=True), effect=False, risky=False), None)

    def plant_crash(self, run: str, after: int) -> None:
        """Plants a fault: the process with the `after`-th effect of such runs is killed once it has happened, once.

        Args:
            run: what the names of the runs begin with.
            after: the number of the effect, counted from 1.
        """
        with self._open() as db:
            db.execute("INSERT INTO crashes VALUES (?, ?)", (run, after))

    def of(self, runs: Collection[str]) -> list[Entry]:
        """Returns what was carried out for some runs, in order."""
        with self._open() as db:
            rows = db.execute("SELECT run, tool, args, effect, risky FROM calls ORDER BY number").fetchall()
        return [
            Entry(run, tool, args, bool(effect), bool(risky)) for run, tool, args, effect, risky in rows if run in runs
        ]

    def _add(self, entry: Entry, key: str | None) -> bool:
        with self._open() as db:
            added = db.execute(
                "INSERT OR IGNORE INTO calls (run, tool, args, effect, risky, key) VALUES (?, ?, ?, ?, ?, ?)",
                (entry.run, entry.tool, entry.args, entry.effect, entry.risky, key),
            )
            return added.rowcount == 1

    def _crash_is_due(self, run: str) -> bool:
        """Takes the planted crash out of the books where it is due, so that it happens once."""
        with self._open() as db:
            due = db.execute(
                """DELETE FROM crashes WHERE ? LIKE run || '%' AND after <=
                   (SELECT count(*) FROM calls WHERE effect AND calls.run LIKE crashes.run || '%')""",
                (run,),
            )
            return due.rowcount > 0

    @contextmanager
    def _open(self) -> Generator[sqlite3.Connection]:
        """Opens the file for one transaction."""
        with closing(sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous=OFF")  # a killed process loses nothing that it has committed
            db.execute("BEGIN IMMEDIATE")
            for table in _SCHEMA:
                db.execute(table)
            yield db
            db.execute("COMMIT")
