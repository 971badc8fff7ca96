"""Secrets of tools: read where they are needed, when they are needed, and by the tools that declare them.

The value of `SHOP_TOKEN` is looked for in the environment variable of that name, then in the file that
`SHOP_TOKEN_FILE` names, then in the file `SHOP_TOKEN` of the folder `BACKSTAY_SECRETS`.
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
_OF_THE_WORKER = ("BACKSTAY_CODEC_TOKEN", "TEMPORAL_API_KEY")


class Secrets:
    """Reads secrets, and keeps every value that it has read out of texts.

    `folder` holds a file per secret; `environment` is this process's own unless given.
    """

    def __init__(self, folder: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._environment = os.environ if environment is None else environment
        self.scrubber = Scrubber()

    def read(self, name: str) -> str:
        """The value as it is now.

        Raises:
            SecretError: there is none, its file cannot be read, or it is too short to be kept out of texts.
        """
        value = self.find(name)
        if value is None:
            raise SecretError(
                f"this worker has no secret `{name}`; set `{name}` or `{name}_FILE`, "
                f"or put a file `{name}` into the folder `{FOLDER}`"
            )
        if len(value) < SHORTEST:
            raise SecretError(
                f"the secret `{name}` has less than {SHORTEST} characters, so that texts cannot be freed of it; "
                "use a longer one"
            )
        return value

    def find(self, name: str) -> str | None:
        """The value as it is now; None where there is none.

        Raises:
            SecretError: its file cannot be read.
        """
        value = (self._environment.get(name) or "").rstrip("\r\n") or self._from_file(name)
        if value is not None:
            self.scrubber.learn(name, value)
        return value

    def reader(self, tool: str, declared: Sequence[str]) -> Callable[[str], str]:
        """What a call of a tool reads its secrets with; it refuses those that the tool has not declared."""
        return _Reader(self, tool, frozenset(declared))

    def scrubbed(self, text: str) -> str:
        """The text with `[secret NAME]` in the place of every known value."""
        return self.scrubber.text(text)

    def learn(self, names: Iterable[str]) -> None:
        """Learns what of these is there already, so that it is kept out of texts even where nobody asked for it."""
        for name in names:
            try:
                self.find(name)
            except SecretError:
                continue  # whoever needs it is told then

    def _from_file(self, name: str) -> str | None:
        variable = f"{name}_FILE"
        named = self._environment.get(variable)
        if named:
            return _contents(Path(named), name, f"the file of `{variable}`")
        if self._folder is not None and (self._folder / name).is_file():
            return _contents(self._folder / name, name, f"its file in `{FOLDER}`")
        return None


def worker_secrets(settings: Settings, agents: Iterable[Agent]) -> Secrets:
    """The secrets of a worker: those its agents' tools declare, and its own keys, which no text shows either."""
    secrets = Secrets(settings.secrets)
    secrets.learn(_OF_THE_WORKER)
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
        # Editors and `echo` end a file with a newline that belongs to no secret.
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
    """Reads for one tool. A copy that leaves the process reads nothing: its worker's secrets stay behind."""

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
        return (_left_behind, ())


def _left_behind() -> Callable[[str], str]:
    return no_secret
