"""What is in force over all runs, as people and programs read it: who, when and why for each stop and block."""

from __future__ import annotations

import io

from rich.console import Console

from backstay.cli.views.in_force import counted, in_force_as_json, tables
from backstay.kernel.control import Block, Incident, InForce, Mode, Stage, Told
from backstay.kernel.scope import Scope

TOLD = Told("olga", "it pays\ntwice \x1b[31m", 1_764_500_000_000)
STOP = Incident("i1", Scope.read("tenant:acme"), Mode.FREEZE, TOLD, open=frozenset({Stage.READS, Stage.MODELS}))
ENDED = Incident("i0", Scope.read("all"), Mode.STOP, TOLD, ended_ms=1)
STATE = InForce(
    incidents={"i0": ENDED, "i1": STOP},
    blocks=(Block("pay", None, "acme", TOLD), Block("send", "clerk", None, TOLD)),
    runs={"globex": 3},
)


def printed(state: InForce) -> str:
    out = io.StringIO()
    Console(file=out, width=160, highlight=False).print(*tables(state))
    return out.getvalue()


def test_each_stop_block_and_limit_has_a_line_and_what_is_over_has_none() -> None:
    said = printed(STATE)
    stop, pay, send, limit = (
        next(line.split() for line in said.splitlines() if line.startswith(first))
        for first in ("i1", "pay", "send", "globex")
    )
    assert stop[:5] == ["i1", "tenant:acme", "freeze", "reads,", "models"]
    assert (pay[1:3], send[1:3], limit[1]) == (["all", "acme"], ["clerk", "all"], "3")
    assert "i0" not in said


def test_a_reason_is_shown_on_one_line_and_steers_no_terminal() -> None:
    said = printed(STATE)
    assert "it pays twice �[31m" in said
    assert "\x1b[31m" not in said


def test_programs_read_the_same() -> None:
    found = in_force_as_json(STATE)
    assert found["limits"] == [{"tenant": "globex", "runs": 3}]
    told = {"by": "olga", "reason": TOLD.reason, "at": "2025-11-30T10:53:20+00:00"}
    assert found["blocks"] == [
        {"tool": "pay", "agent": None, "tenant": "acme", **told},
        {"tool": "send", "agent": "clerk", "tenant": None, **told},
    ]
    [stop] = found["stops"] if isinstance(found["stops"], list) else []
    assert (stop["incident_id"], stop["scope"], stop["open"]) == ("i1", "tenant:acme", ["reads", "models"])


def test_what_is_in_force_is_counted_in_words() -> None:
    assert (counted(STATE), counted(InForce())) == ("1 stop, 2 blocks, 1 limit", "nothing")
    assert tables(InForce()) == []
