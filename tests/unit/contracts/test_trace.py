"""Following a run changes nothing about it."""

from backstay.contracts.status import RunStatusView
from backstay.contracts.trace import Untraced


def test_a_run_that_nobody_follows_is_not_asked_where_it_stands() -> None:
    asked: list[str] = []

    def status() -> RunStatusView:
        asked.append("status")
        raise AssertionError("nobody follows")

    with Untraced().step(status):
        asked.append("step")
    assert asked == ["step"]
