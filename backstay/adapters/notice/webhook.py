"""Tells a web address of approvals: JSON over HTTP, signed, so that the receiver knows who speaks.

The header `Backstay-Signature` is `t=SECONDS,v1=HEX`: HMAC-SHA256 over `SECONDS.BODY` with the secret that both know.
A receiver computes the same, compares in constant time, and refuses what is older than it is willing to believe.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import aiohttp

from backstay.errors import ConfigurationError

SECRET_VARIABLE = "BACKSTAY_WEBHOOK_SECRET"
_SECONDS = 10


def signature(secret: str, at: int, body: bytes) -> str:
    """The value of the signature header for a body sent at a time, in seconds since the epoch."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class Webhooks:
    """The addresses of the agents that have one."""

    def __init__(self, addresses: Mapping[str, str], secret: str | None) -> None:
        """Takes the address of each agent.

        Raises:
            ConfigurationError: there is an address and no secret to sign with.
        """
        if addresses and not secret:
            what = f"agent `{next(iter(addresses))}` notifies a webhook, and `{SECRET_VARIABLE}` is not set"
            raise ConfigurationError(what, mend="set it to a long random text that the receiver knows too")
        self._addresses = addresses
        self._secret = secret or ""

    async def send(self, agent: str, message: Mapping[str, Any]) -> None:
        """Sends one message to the agent's address, if it has one.

        Raises:
            aiohttp.ClientError: it was not taken; worth another try.
        """
        address = self._addresses.get(agent)
        if address is None:
            return
        body = json.dumps(message, ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json",
            "Backstay-Signature": signature(self._secret, int(time.time()), body),
        }
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(address, data=body, headers=headers, allow_redirects=False) as response,
        ):
            response.raise_for_status()
