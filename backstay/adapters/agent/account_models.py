"""Asks the model of a provider's account for runs of other task queues, as the agents here do that share it."""

from collections.abc import Callable

from backstay.contracts.conversation import ModelReply, ModelRequest
from backstay.errors import UnservedError

from .catalog import Catalog


class AccountModels:
    """The models behind one account: its server, its key and the wire that its agents here speak."""

    def __init__(self, catalog: Catalog, account: str) -> None:
        self._catalog = catalog
        self._account = account

    async def reply(self, agent: str, request: ModelRequest, call_id: Callable[[int], str]) -> ModelReply:
        """Asks the model that the request names once, whichever agent it is for.

        Raises:
            ModelError: no usable reply came; its `billed` says whether the provider may charge for it.
            UnservedError: no agent here has the account any more.
        """
        for served in self._catalog.agents.values():
            if served.config.model.account == self._account:
                return await self._catalog.reply(served.name, request, call_id)
        raise UnservedError(agent)
