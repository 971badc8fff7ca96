"""Does what follows from a breaker that trips: stops its scope, and finds out when the stop is lifted."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backstay.contracts import names
from backstay.contracts.breakers import LiftedInput, LiftedResult, TripInput, TripResult
from backstay.errors import HistoryError
from backstay.kernel.control import InForce
from backstay.ports import Orders


class Trips:
    """The activities `trip` and `lifted`."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    @activity.defn(name=names.TRIP)
    async def trip(self, given: TripInput) -> TripResult:
        """Puts the stop of a breaker in force; telling it again is the same incident.

        Raises:
            ApplicationError: of type `HistoryError`: the control plane does not answer.
        """
        try:
            return TripResult(refused=await self._orders.stop(given.order()))
        except HistoryError as error:
            raise ApplicationError(str(error), type=error.code) from error

    @activity.defn(name=names.LIFTED)
    async def lifted(self, given: LiftedInput) -> LiftedResult:
        """Returns when incidents were lifted, for all runs or for some, and those that are whole in force.

        Raises:
            ApplicationError: of type `HistoryError`: the control plane cannot be asked.
        """
        try:
            state = await self._orders.in_force()
        except HistoryError as error:
            raise ApplicationError(str(error), type=error.code) from error
        moments = {incident: _lifted_ms(state, incident) for incident in given.incidents}
        return LiftedResult(
            lifted={incident: at_ms for incident, at_ms in moments.items() if at_ms is not None},
            held=[one for one in given.incidents if one in state.incidents and state.incidents[one].whole],
        )


def _lifted_ms(state: InForce, incident_id: str) -> int | None:
    """Returns when an incident was last lifted, unless it is in force again; one that is forgotten ended long ago."""
    incident = state.incidents.get(incident_id)
    if incident is None:
        return 0 if state.confirmed else None
    # What put it in force again stands among those who lifted it, too.
    return None if incident.whole or not incident.lifted else incident.lifted[-1].at_ms
