"""Takes an alarm that a tool raises in the middle of its call: tells the log and the breakers at once.

Breakers learn that there was one, and in which run. Its words stay in the log and in the run's own audit, because what
breakers know is read by every fleet of the namespace.
"""

from dataclasses import dataclass, field

from temporalio import activity

from backstay.contracts.admission import Opening
from backstay.kernel.breaker import alarm_of
from backstay.kernel.excerpt import on_one_line
from backstay.ports import BreakerReports, Secrets

ALARM_CHARACTERS = 500


@dataclass(slots=True)
class CallAlarm:
    """The alarm of one attempt at a call; the first counts, and further ones say nothing new.

    Attributes:
        opening: of the call's run.
        tool: the call's tool.
        words: the reason, once one was raised.
    """

    opening: Opening
    tool: str
    secrets: Secrets = field(repr=False)
    reports: BreakerReports = field(repr=False)
    words: str | None = None

    def take(self, reason: str) -> None:
        """Takes the reason; may be called from any thread, and changes nothing of the call."""
        if self.words is not None:
            return
        self.words = self._readable(reason)
        opening = self.opening
        activity.logger.warning(
            "the tool `%s` of the agent `%s` raises an alarm in the run %s: %s",
            *(self.tool, opening.agent, on_one_line(opening.run_id), self.words),
        )
        admitted = opening.admission
        self.reports.tell(alarm_of(opening.run_id, opening.agent, opening.tenant, self.tool, admitted.model.name))

    def _readable(self, reason: str) -> str:
        # Scrubbed before it is cut: a cut could leave a part of a secret, which no scrubber finds.
        text = on_one_line(" ".join(self.secrets.scrubbed(reason).split()))
        shown = text if len(text) <= ALARM_CHARACTERS else f"{text[: ALARM_CHARACTERS - 1]}…"
        return shown or "no reason given"
