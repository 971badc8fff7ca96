"""A run takes down once, in its first task, which changes of the runtime it knows."""

from pathlib import Path

from backstay.app import folders

WORKFLOWS = Path(folders.agent_run.__file__).parent


def test_no_part_of_a_run_asks_the_engine_for_a_change_by_itself() -> None:
    asking = {
        path.relative_to(WORKFLOWS).as_posix()
        for path in [WORKFLOWS / "agent_run.py", *(WORKFLOWS / "run").rglob("*.py")]
        if "workflow.patched(" in path.read_text()
    }
    assert asking == {"run/changes.py"}
