"""Refuses times in `agent.toml` that contradict each other: an approval must not outlast the run that asks."""

from pathlib import Path

from backstay.errors import ConfigurationError
from backstay.tools.declare import seconds

from .config import AgentConfig
from .toml_file import place_of

LONGEST_DAYS = 3650


def check_times(config: AgentConfig, file: Path, limit: int | None) -> None:
    """Checks that people have the time to answer, and to be reminded, that `expires_after` promises.

    Args:
        config: what the file holds.
        file: the agent.toml.
        limit: the seconds of a run in force, the organisation's ceiling included; None is no limit.

    Raises:
        ConfigurationError: an approval would end before its `expires_after`; names the line and the mend.
    """
    approval = config.approval
    asked, outer = seconds(approval.expires_after), seconds(approval.wait_at_most)
    own = f"`approval.expires_after` ({approval.expires_after})"
    if outer > LONGEST_DAYS * 86_400:
        what = f"`approval.wait_at_most` ({approval.wait_at_most}) is longer than {LONGEST_DAYS} days"
        raise ConfigurationError(what, where=place_of(file, "approval.wait_at_most"), mend='write less, such as "30d"')
    if asked > outer:
        key = "expires_after" if "expires_after" in approval.model_fields_set else "wait_at_most"
        raise ConfigurationError(
            f"{own} is longer than `approval.wait_at_most` ({approval.wait_at_most}), which limits all waiting",
            where=place_of(file, f"approval.{key}"),
            mend="lower `expires_after` or raise `wait_at_most`",
        )
    open_for = config.conversation
    if open_for is not None and seconds(open_for.keep_open) > outer:
        raise ConfigurationError(
            f"`conversation.keep_open` ({open_for.keep_open}) is longer than `approval.wait_at_most` "
            f"({approval.wait_at_most}), which limits all waiting",
            where=place_of(file, "conversation.keep_open"),
            mend="lower `keep_open`, or raise `wait_at_most` under `[approval]`",
        )
    if not config.budget.seconds_exclude_approvals and limit is not None and limit < asked:
        raise ConfigurationError(
            f"{own} is longer than the run: waiting uses up its `seconds` ({limit}), "
            "so that neither the time to answer nor the reminder in its last tenth would ever come",
            where=place_of(file, "budget.seconds_exclude_approvals"),
            mend="leave out `seconds_exclude_approvals = false`, raise `seconds`, or write "
            f'`expires_after = "{limit}s"` or less',
        )
