"""The chain of links that a run goes on in, so that no history of it grows beyond what the engine keeps."""

from temporalio import workflow

from backstay.contracts.admission import Admission
from backstay.contracts.carry import Carried
from backstay.kernel.history import MOST_IN_ALL, Extent, rolls_over

from .messages import Messages


class Chain:
    """The link of the chain that a run is in, and how far its history has grown."""

    def __init__(self, messages: Messages, carried: Carried | None) -> None:
        self.link = carried.link if carried else 1
        """The number of this link, from 1."""
        self.opened = Extent(0, 0)
        """The extent of the history when it had all that the link before has handed on."""
        self.begun_ms = carried.begun_ms if carried else _begun_ms()
        """When the engine took the first link, in milliseconds since the epoch."""
        self._messages = messages
        self._refused_at = 0
        self._has_all = carried is None

    def opens(self) -> None:
        """Counts growth from now on: the history has all that was handed on."""
        self.opened, self._has_all = self._extent(), True

    @property
    def handed(self) -> int:
        """The bytes that the link before has handed on; as long as they are being written, as many as may come."""
        return self.opened.size if self._has_all else MOST_IN_ALL

    def due(self, admission: Admission) -> bool:
        """Tells whether another link is to go on with the run; never in a run that was admitted without links."""
        if admission.links is None:
            return False
        most, grown = admission.links.extent(), self._extent() - self.opened
        # A run that has too much to take along looks again after as many events.
        if grown.events < self._refused_at + most.events and self._refused_at:
            return False
        # All figures stand in the history with every workflow task, so that a replay reads the same ones.
        return rolls_over(grown, self.opened, most, suggested=workflow.info().is_continue_as_new_suggested())

    def put_off(self) -> None:
        """Takes down that the run cannot roll over now, because it has too much to take along."""
        self._refused_at = (self._extent() - self.opened).events

    def _extent(self) -> Extent:
        info, sent = workflow.info(), self._messages
        size, events = info.get_current_history_size(), info.get_current_history_length()
        return Extent(events, size, sent.signals + sent.updates)


def _begun_ms() -> int:
    return int(workflow.info().workflow_start_time.timestamp() * 1_000)
