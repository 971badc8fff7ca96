"""What `backstay kill` refuses before it connects to anything."""

import io

import pytest

from backstay.cli import execute

REFUSED = {
    "nobody can be asked": (["--agent", "clerk"], "add `--yes`"),
    "all runs": (["--reason", "x", "--yes"], "at least one of --agent, --state, --tenant and --stop-reason"),
    "a run and filters": (["r1", "--agent", "clerk", "--reason", "x", "--yes"], "leave out RUN, or the filters"),
    "a run without a reason": (["r1"], "a kill needs a reason"),
    "a state that is none": (["--state", "waiting", "--yes"], "there is no state `waiting`"),
    "runs that have closed": (["--state", "closed", "--yes"], "runs in state `closed` have closed"),
    "a stop reason that is none": (["--stop-reason", "nonsense", "--yes"], "there is no stop reason `nonsense`"),
    "a blank reason": (["--agent", "clerk", "--reason", " ", "--yes"], "the reason is empty"),
    "a reason without an end": (["--agent", "clerk", "--reason", "x" * 100_000, "--yes"], "--reason"),
}


@pytest.mark.parametrize(("words", "said"), REFUSED.values(), ids=REFUSED)
def test_a_kill_that_nobody_can_mean_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    assert execute(["kill", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, said in err) == ("", True), err
