"""Reads what the breakers of all fleets watch; needs no worker."""

from temporalio.client import Client

from backstay.adapters.engine.control import unencrypted
from backstay.adapters.engine.errors import in_our_words
from backstay.contracts import names
from backstay.contracts.breakers import BreakersView

from .entities import entities, read


async def breakers(client: Client) -> BreakersView | None:
    """Returns the breakers; None where no worker has told them anything yet.

    Raises:
        UnreachableError: Temporal does not answer.
    """
    with in_our_words(client, names.BREAKERS_ID):
        plainly = unencrypted(client)
        for one in await entities(plainly, names.BREAKERS, [names.BREAKERS_ID]):
            return await read(plainly, one, names.WATCHED, BreakersView)
        return None
