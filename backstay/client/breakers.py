"""Reads what the breakers of all fleets watch; needs no worker."""

from datetime import timedelta

from temporalio.client import Client

from backstay.adapters.engine.control import unencrypted
from backstay.adapters.engine.control_plane import find
from backstay.adapters.engine.errors import in_our_words
from backstay.contracts import names
from backstay.contracts.breakers import BreakersView

from .entities import entities, read

_PATIENCE = timedelta(seconds=10)


async def breakers(client: Client) -> BreakersView | None:
    """Returns the breakers; None where no worker has told them anything yet.

    Raises:
        UnreachableError: Temporal does not answer.
    """
    with in_our_words(client, names.BREAKERS_ID):
        plainly = unencrypted(client)
        for one in await entities(plainly, names.BREAKERS, [names.BREAKERS_ID]):
            watched = await read(plainly, one, names.WATCHED, BreakersView)
            plane = await find(plainly, _PATIENCE)
            known = None if plane is None else plane.known
            return watched if watched is None or known is None else watched.beside(known)
        return None
