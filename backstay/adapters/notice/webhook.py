"""Sends notices of approvals to a web address as signed JSON over HTTP.

The header `Backstay-Signature` is `t=SECONDS,v1=HEX`: HMAC-SHA256 over `SECONDS.BODY` with the shared secret.
A receiver computes the same value, compares it in constant time, and refuses a time that is too old.

INVARIANT: an address is a secret, because whoever knows it may write there: no error, log or trace holds any of it.
"""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp

from backstay.errors import ConfigurationError, NoticeError, SecretError

SECRET_VARIABLE = "BACKSTAY_WEBHOOK_SECRET"
REFERENCE = "secret:"
SETTING = "approval.notify"
_SECONDS = 10
_ADDRESS = re.compile(r"https?://[^\s/?#]+\S*")
_LONG = 12


class Vault(Protocol):
    """The secrets of the worker, and its knowledge of what texts must not show."""

    def read(self, name: str) -> str:
        """Returns the current value of a secret."""
        ...

    def hide(self, name: str, value: str) -> None:
        """Removes a value from all texts from now on."""
        ...


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

    def __init__(self, addresses: Mapping[str, str], secret: str | None, vault: Vault) -> None:
        """Takes the addresses by agent, each as it is or as `secret:NAME`; agents without one are not notified.

        Raises:
            ConfigurationError: there is an address but no secret to sign with, or a reference leads to no address.
        """
        if addresses and not secret:
            what = f"agent `{next(iter(addresses))}` notifies a webhook, and `{SECRET_VARIABLE}` is not set"
            raise ConfigurationError(what, mend="set it to a long random text that the receiver knows too")
        self._addresses = addresses
        self._secret = secret or ""
        self._vault = vault
        for agent in addresses:
            try:
                self._address(agent)
            except SecretError as error:
                raise ConfigurationError(str(error), where=f"agent `{agent}`, `{SETTING}`") from None

    async def send(self, agent: str, message: Mapping[str, Any]) -> None:
        """Sends one message to the agent's address, if it has one.

        Raises:
            NoticeError: the receiver did not accept it; worth a retry.
        """
        if agent not in self._addresses:
            return
        body = json.dumps(message).encode()
        headers = {
            "Content-Type": "application/json",
            "Backstay-Signature": signature(self._secret, int(time.time()), body),
        }
        try:
            address = self._address(agent)
            problem = await _posted(address, body, headers)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, SecretError) as error:
            problem = f"cannot be reached ({type(error).__name__})"
        # Raised outside the handler: the client's own errors name the address, and so would a trace of both.
        if problem:
            raise NoticeError(f"the webhook of agent `{agent}` {problem}")

    def _address(self, agent: str) -> str:
        """Returns the agent's address as it is now, and hides it.

        Raises:
            SecretError: the reference leads to no address.
        """
        written = self._addresses[agent]
        name = written.removeprefix(REFERENCE)
        shown = f"the secret `{name}`" if name != written else f"`{SETTING}`"
        address = self._vault.read(name) if name != written else written
        self._vault.hide(name if name != written else SETTING, address)
        if not _is_address(address):
            raise SecretError(f"{shown} is no web address; it begins with https:// or http://")
        for part in _telling(address):
            self._vault.hide(name if name != written else SETTING, part)
        return address


def _is_address(text: str) -> bool:
    try:
        return _ADDRESS.fullmatch(text) is not None and bool(urlsplit(text).hostname)
    except ValueError:
        return False


async def _posted(address: str, body: bytes, headers: Mapping[str, str]) -> str | None:
    """Sends a body; returns why it was not accepted, None where it was."""
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(address, data=body, headers=headers, allow_redirects=False) as response,
    ):
        return None if 200 <= response.status < 300 else f"answers {response.status}"


def _telling(address: str) -> Iterator[str]:
    """Yields the parts of an address that give it away even alone: path and query, password, tokens."""
    parts = urlsplit(address)
    beside = f"{parts.path}?{parts.query}" if parts.query else parts.path
    tokens = [piece for piece in re.split(r"[/?&=]", beside) if any(map(str.isdigit, piece))]
    yield from (piece for piece in (beside, parts.netloc.rpartition("@")[0], *tokens) if len(piece) >= _LONG)
    if parts.password:
        yield parts.password
