"""Reads the calls of a decision as the link before has left them, and writes down those that have ended."""

from collections.abc import Mapping
from dataclasses import replace

from backstay.contracts.carried_call import CarriedCall, CarriedEnd
from backstay.kernel.keys import short_digest

from .act import Ended
from .authorize import Judged
from .words import CallTold

ELSEWHERE = "its result stands in an earlier link of the run"
"""The text of a result that the run did not read again, because it was stopped meanwhile."""


def judged_of(carried: CarriedCall) -> Judged:
    """Returns a call as it was judged last."""
    call = carried.changed or carried.call
    return Judged(call, carried.verdict, carried.members, carried.identity, carried.metered)


def told_of(carried: CarriedCall) -> CallTold:
    """Returns a call as people read it."""
    told = CallTold.of(carried.changed or carried.call, carried.verdict)
    return replace(told, grant=carried.grant, verdict=carried.grant or told.verdict)


def carried_end(judged: Judged, ended: Ended, told: CallTold | None) -> CarriedCall:
    """Returns a call that has ended, for the next link; a text that a history has is left out."""
    end = CarriedEnd(
        status=ended.status,
        text=None if ended.recorded else ended.text,
        digest=short_digest(ended.text) if ended.recorded else "",
        labels=list(ended.labels),
        fingerprint=ended.fingerprint,
    )
    return CarriedCall(call=judged.call, verdict=judged.verdict, end=end, grant=told.grant if told else None)


def ended_of(carried: CarriedCall, results: Mapping[str, str]) -> Ended:
    """Returns how a call has ended.

    Args:
        carried: the call.
        results: the texts of recorded results, by call.
    """
    end = carried.end or CarriedEnd(status="cancelled", text=ELSEWHERE)
    recorded = end.text is None
    text = results.get(carried.call.call_id, ELSEWHERE) if end.text is None else end.text
    return Ended(end.status, text, recorded, labels=tuple(end.labels), fingerprint=end.fingerprint)
