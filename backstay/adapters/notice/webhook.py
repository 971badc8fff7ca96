"""Sends notices of approvals to a web address as signed JSON over HTTP.

The header `Backstay-Signature` is `t=SECONDS,v1=HEX`: HMAC-SHA256 over `SECONDS.BODY` with the shared secret.
A receiver computes the same value, compares it in constant time, and refuses a time that is too old.
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
    """Returns the value of the signature header.

    Args:
        secret: the secret shared with the receiver.
        at: the time of sending, in seconds since the epoch.
        body: the body as sent.
    """
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class Webhooks:
    """A sender of notices to the webhooks of agents."""

    def __init__(self, addresses: Mapping[str, str], secret: str | None) -> None:
        """Takes the addresses by agent; agents without one are not notified.

        Raises:
            ConfigurationError: there is an address but no secret to sign with.
        """
        if addresses and not secret:
            what = f"agent `{next(iter(addresses))}` notifies a webhook, and `{SECRET_VARIABLE}` is not set"
            raise ConfigurationError(what, mend="set it to a long random text that the receiver knows too")
        self._addresses = addresses
        self._secret = secret or ""

    async def send(self, agent: str, message: Mapping[str, Any]) -> None:
        """Sends one message to the agent's address, if it has one.

        Raises:
            aiohttp.ClientError: the receiver did not accept it; worth a retry.
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
