"""`backstay codec-server`: lets Temporal's UI and command line read encrypted payloads."""

import asyncio

from backstay.adapters.payload.codec import EncryptingCodec
from backstay.adapters.payload.converter import keys_of_environment
from backstay.adapters.payload.keys import KEYS
from backstay.adapters.payload.server import TOKEN, Access
from backstay.adapters.payload.server import codec_server as serving
from backstay.adapters.secret.store import Secrets
from backstay.errors import ConfigurationError, SecretError

from ..shell.exit import ExitCode
from ..shell.loop import run_loop
from ..shell.terminal import say

UI_ORIGINS = ("http://localhost:8233", "http://127.0.0.1:8233")


def codec_server(host: str, port: int, origin: list[str] | None) -> int:
    """Runs `backstay codec-server` and returns its exit code."""
    keys = keys_of_environment()
    if not keys:
        raise ConfigurationError("there are no keys to decrypt with", mend=f"set `{KEYS}` as your workers have it")
    access = Access.checked(host, origin or UI_ORIGINS, _token())
    stop = asyncio.Event()
    return run_loop(_serve(EncryptingCodec(keys), access, port, stop), stop)


def _token() -> str | None:
    try:
        return Secrets().find(TOKEN)
    except SecretError as error:
        raise ConfigurationError(str(error)) from None


async def _serve(codec: EncryptingCodec, access: Access, port: int, stop: asyncio.Event) -> int:
    async with serving(codec, access, port) as address:
        say(f"codec server at {address} for {', '.join(access.origins)}     Ctrl-C stops it", "green")
        say(f"try it: temporal workflow show -w RUN --codec-endpoint {address}")
        await stop.wait()
    return ExitCode.COMPLETED
