"""Reads secrets for the tools that declare them, at the moment they are needed.

The value of `SHOP_TOKEN` comes from the environment variable `SHOP_TOKEN`, else from the file named by
`SHOP_TOKEN_FILE`, else from the file `SHOP_TOKEN` in the folder `BACKSTAY_SECRETS`.
"""

import base64
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backstay.errors import SecretError
from backstay.settings import Settings
from backstay.tools.call import no_secret

from ..agent.folder import Agent
from ..payload.keys import KEYS, codec_keys
from .scrubber import SHORTEST, Scrubber

FOLDER = "BACKSTAY_SECRETS"
_WORKER_KEYS = ("BACKSTAY_CODEC_TOKEN", "TEMPORAL_API_KEY")


class Secrets:
    """A reader of secrets that teaches its scrubber every value it reads."""

    def __init__(self, folder: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
        """Takes the places to read from.

        Args:
            folder: holds one file per secret.
            environment: replaces this process's environment variables.
        """
        self._folder = folder
        self._environment = os.environ if environment is None else environment
        self.scrubber = Scrubber()

    def read(self, name: str) -> str:
        """Reads the current value of a secret.

        Raises:
            SecretError: there is no such secret, its file cannot be read, or it is too short to remove from texts.
        """
        value = self.find(name)
        if value is None:
            raise SecretError(
                f"this worker has no secret `{name}`; set `{name}` or `{name}_FILE`, "
                f"or put a file `{name}` into the folder `{FOLDER}`"
            )
        if len(value) < SHORTEST:
            raise SecretError(
                f"the secret `{name}` has less than {SHORTEST} characters, too short to remove it from texts; "
                "use a longer one"
            )
        return value

    def find(self, name: str) -> str | None:
        """Reads the current value of a secret, or returns None where there is none.

        Raises:
            SecretError: its file cannot be read.
        """
        value = (self._environment.get(name) or "").rstrip("\r\n") or self._from_file(name)
        if value is not None:
            self.scrubber.learn(name, value)
        return value

    def reader(self, tool: str, declared: Sequence[str]) -> Callable[[str], str]:
        """Returns a reader limited to the declared secrets."""
        return _Reader(self, tool, frozenset(declared))

    def hide(self, name: str, value: str) -> None:
        """Removes a value from all texts from now on, as `[secret NAME]`."""
        self.scrubber.learn(name, value)

    def scrubbed(self, text: str) -> str:
        """Returns the text with `[secret NAME]` in place of every known value."""
        return self.scrubber.text(text)

    def learn(self, names: Iterable[str]) -> None:
        """Reads the secrets that exist, so that texts never show them, even before a tool asks for one."""
        for name in names:
            try:
                self.find(name)
            except SecretError:
                continue  # the tool that reads the secret gets the error

    def _from_file(self, name: str) -> str | None:
        variable = f"{name}_FILE"
        named = self._environment.get(variable)
        if named:
            return _contents(Path(named), name, f"the file of `{variable}`")
        if self._folder is not None and (self._folder / name).is_file():
            return _contents(self._folder / name, name, f"its file in `{FOLDER}`")
        return None


def worker_secrets(settings: Settings, agents: Iterable[Agent]) -> Secrets:
    """Returns the secrets of a worker, with its agents' declared secrets and its own keys already learned."""
    secrets = Secrets(settings.secrets)
    secrets.learn(_WORKER_KEYS)
    own = {"OPENAI_API_KEY": settings.openai_api_key, "BACKSTAY_WEBHOOK_SECRET": settings.webhook_secret}
    for name, value in own.items():
        if value:
            secrets.scrubber.learn(name, value.strip())
    for key in codec_keys(settings.codec_keys, settings.codec_keys_file).values():
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            secrets.scrubber.learn(KEYS, encode(key).decode().rstrip("="))
    for agent in agents:
        secrets.learn([agent.config.model.api_key_env] if agent.config.model.api_key_env else [])
        for tool in agent.tools.values():
            secrets.learn(tool.secrets)
    return secrets


def _contents(file: Path, name: str, where: str) -> str:
    try:
        # Editors and `echo` add a newline that is not part of the secret.
        value = file.read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SecretError(f"the secret `{name}` cannot be read, {where}: {reason}") from None
    except UnicodeDecodeError:
        raise SecretError(f"the secret `{name}` cannot be read, {where}: it is not text") from None
    if not value:
        raise SecretError(f"the secret `{name}` is empty, {where}")
    return value


class _Reader:
    """A reader for one tool; a pickled copy reads nothing, so that secrets stay in this process."""

    __slots__ = ("_declared", "_secrets", "_tool")

    def __init__(self, secrets: Secrets, tool: str, declared: frozenset[str]) -> None:
        self._secrets, self._tool, self._declared = secrets, tool, declared

    def __call__(self, name: str) -> str:
        if name not in self._declared:
            raise SecretError(
                f'the tool `{self._tool}` has not declared the secret `{name}`; declare it: `@tool(secrets=["{name}"])`'
            )
        return self._secrets.read(name)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_empty_reader, ())


def _empty_reader() -> Callable[[str], str]:
    return no_secret
