"""Tells people that a breaker has tripped."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.breakers import TripInput, TripNotice
from backstay.errors import NoticeError
from backstay.ports import Notifier


class Announce:
    """The activity `announce`."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    @activity.defn(name=names.ANNOUNCE)
    async def announce(self, given: TripInput) -> None:
        """Tells people of a trip: in the log, and at the webhooks of the agents with failures.

        Raises:
            ApplicationError: of type `NoticeError`: a webhook did not take it; those before it hear it again.
        """
        activity.logger.warning(given.words)
        trip = given.trip
        for agent in trip.agents:
            try:
                await self._notifier.send(agent, TripNotice.of(trip, agent).model_dump(mode="json"))
            except NoticeError as error:
                raise ApplicationError(str(error), type=error.code) from error
