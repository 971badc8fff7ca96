"""Says in words how the control plane stands."""

from backstay.client.control_plane import Plane, PlaneState

from .in_force import counted, moment

WAITS = (
    "the control plane was lost, so effects and new decisions wait, whatever was ordered; `backstay control status` "
    "shows what was last known, and `backstay control confirm --reason WHY` restores it"
)
_MEANS = {
    PlaneState.UNCONFIRMED: "lost, and nobody has confirmed what is in force: effects and new decisions wait",
    PlaneState.ENDED: "ended, and no worker has started it again: effects and new decisions wait",
    PlaneState.UNREADABLE: "what is in force cannot be read: effects and new decisions wait",
    PlaneState.MISSING: "none yet: the first worker starts it, and nothing is in force",
}


def how_it_stands(plane: Plane) -> str:
    """Says how the control plane stands, since when, and what to do about it."""
    since = f", since {moment(plane.since)}" if plane.since else ""
    if plane.state is PlaneState.CONFIRMED:
        state = plane.state_in_force
        return f"confirmed, with {counted(state) if state else 'nothing'} in force; it runs{since.removeprefix(',')}"
    mend = "; `backstay control confirm --reason WHY` restores what was last known" if plane.lost else ""
    return f"{_MEANS[plane.state]}{since}{mend}"
